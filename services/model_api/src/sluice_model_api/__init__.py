"""A model API in the Open Inference Protocol V2, with safe bundles, drain and faults on demand."""

__version__ = "0.1.0"

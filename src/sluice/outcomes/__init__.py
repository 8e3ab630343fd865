"""Where outcomes of users come from: files, and the prediction store of a model API."""

from sluice.outcomes.sources import open_outcomes

__all__ = ["open_outcomes"]

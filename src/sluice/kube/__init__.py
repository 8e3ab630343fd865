"""The Kubernetes API as plain dicts: the one place that imports ``kubernetes``."""

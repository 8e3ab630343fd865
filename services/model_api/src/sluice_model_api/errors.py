"""Everything that the model API raises on purpose, named by what the caller can do about it.

ModelApiError
├── RequestError       the caller's fault: one 4xx with what was wrong and what is expected
├── NotReadyError      no model can answer yet, or the server is going away: 503, try elsewhere
├── InjectedError      a fault on demand: 500
└── BundleError        the bundle cannot be used: build it again, or point to another one
"""


class ModelApiError(Exception):
    """Base of all errors raised on purpose; its text is one clear line."""

    status = 500


class RequestError(ModelApiError):
    """The caller sent something that cannot be answered; ``status`` is the 4xx to answer with."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        self.status = status
        super().__init__(message)


class NotReadyError(ModelApiError):
    """The model is not loaded yet, or the server drains; another replica can answer."""

    status = 503


class InjectedError(ModelApiError):
    """A fault on demand (``MODEL_API_FAULT_ERROR_RATE``), never raised otherwise."""


class BundleError(ModelApiError):
    """A bundle that must not be served, with the reason."""

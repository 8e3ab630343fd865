"""What one process consists of, put together in one place for HTTP and gRPC alike."""

from collections.abc import Sequence
from pathlib import Path

from sluice_model_api.bundle.archive import Bundle, find_bundles, read_bundle
from sluice_model_api.errors import BundleError
from sluice_model_api.faults import FaultInjector, Faults
from sluice_model_api.http.protocol import Protocol
from sluice_model_api.http.service import Rest, Service
from sluice_model_api.metrics import Metrics
from sluice_model_api.predictions.log import PredictionLog
from sluice_model_api.predictions.stores import Store, open_store
from sluice_model_api.repository import Repository
from sluice_model_api.settings import Settings


class Parts:
    """Everything that one process consists of.

    Raises:
        BundleError: a bundle is damaged; found before the port is opened.
        StoreError: the prediction log cannot be opened.
    """

    def __init__(self, settings: Settings, faults: Faults) -> None:
        self.settings = settings
        self.repository = Repository(read_bundles(settings))
        self.injector = FaultInjector(faults)
        url = settings.predictions_url.get_secret_value()
        self.store: Store | None = open_store(url) if url else None
        self.log = (
            PredictionLog(
                self.store,
                sample=settings.predictions_sample,
                room=settings.predictions_queue,
                revision=settings.revision,
            )
            if self.store
            else None
        )
        thresholds = [float(text) for text in settings.slo_latency_ms.split(",") if text.strip()]
        self.metrics = Metrics(self.repository, thresholds_ms=thresholds)
        self.metrics.log = self.log
        self.protocol = Protocol(settings, self.repository, self.metrics, self.injector, self.log)
        self.rest = make_rest_routes(self)
        self.service = Service(settings, self.protocol, self.metrics, self.injector, self.rest)

    def load(self) -> None:
        """Load, prove and warm up all models; blocks, so call it from a thread.

        Raises:
            BundleError: a bundle does not do what its manifest says.
        """
        settings = self.settings
        if settings.admin_token.get_secret_value() or settings.feedback_token.get_secret_value():
            self.rest.warm()
        # Last: with its last model the process is ready, and nothing is left to wait for.
        self.repository.load(
            tuple(name.strip() for name in settings.trusted_types.split(",") if name.strip())
        )

    def close(self) -> None:
        """Write what is left to write and let go of everything."""
        self.protocol.close()
        if self.log is not None:
            self.log.close()


def read_bundles(settings: Settings) -> list[Bundle]:
    """Read and verify the bundles that the settings name.

    Raises:
        BundleError: none there, damaged, or not the one that was pinned.
    """
    paths: Sequence[Path] = find_bundles(settings.bundle)
    if settings.digest and len(paths) != 1:
        raise BundleError(f"MODEL_API_DIGEST pins one bundle, MODEL_API_BUNDLE names {len(paths)}")
    return [read_bundle(path, digest=settings.digest) for path in paths]


def make_rest_routes(parts: Parts) -> Rest:
    """FastAPI's routes, imported and built when they are first needed."""
    settings = parts.settings
    paths = {"/docs", "/openapi.json"}
    if settings.admin_token.get_secret_value():
        paths.add("/admin/faults")
    if settings.feedback_token.get_secret_value():
        paths.add("/feedback")

    def make() -> object:
        from sluice_model_api.http.rest import make_rest  # decision 0050

        return make_rest(frozenset(paths), settings, parts.repository, parts.injector, parts.store)

    return Rest(make, frozenset(paths))

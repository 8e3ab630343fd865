"""Settings of the model API: one frozen object, from ``MODEL_API_*``."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from sluice_model_api.environment import FromEnvironment, Secret, UnusableError
from sluice_model_api.errors import ModelApiError
from sluice_model_api.faults import Faults

_Share = Annotated[float, Meta(ge=0, le=1)]


class SettingsError(ModelApiError):
    """A variable has a value that cannot be used; lists every one."""


class Settings(FromEnvironment, frozen=True, kw_only=True):
    """Everything that can be set, each with its unit and why this default."""

    prefix = "MODEL_API_"
    also = {"port": "PORT", "revision": "SLUICE_REVISION"}  # noqa: RUF012  # a ClassVar of the base

    bundle: str = ""
    """Comma-separated paths of bundles, or of registries (`name/version/` folders)."""
    digest: Annotated[str, Meta(pattern=r"^(sha256:[0-9a-f]{64})?\Z")] = ""
    """Digest that the one bundle must have; empty accepts any bundle that is whole."""
    trusted_types: str = ""
    """Comma-separated types that a skops bundle may hold besides the built-in list."""
    host: str = "127.0.0.1"
    """Address to listen on; images set `0.0.0.0`, a laptop stays on loopback."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """Port to listen on; `PORT` is read as well, 0 takes a free one."""
    grpc_port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    """Port of the gRPC service; unset: gRPC is off and costs nothing (needs the extra `grpc`)."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""
    log_requests: Literal["all", "errors", "off"] = "errors"
    """Requests that get a log line of their own; `all` costs about 20 µs each."""
    max_body_bytes: Annotated[int, Meta(ge=1)] = 16 << 20
    """Largest request body, bytes, before and after decompression: 16 MiB is 400,000 rows."""
    compress_min_bytes: Annotated[int, Meta(ge=0)] = 1024
    """Smallest answer that is compressed for who accepts it, bytes: less is not worth its CPU."""
    inline_rows: Annotated[int, Meta(ge=0)] = 256
    """Rows up to which ONNX models run inside the event loop; more rows go to a thread."""
    keep_alive_s: Annotated[int, Meta(ge=1)] = 75
    """Idle time after which a connection is closed, seconds: longer than routers keep theirs."""
    drain_delay_s: Annotated[float, Meta(ge=0)] = 3.0
    """Time from SIGTERM, with readiness off and all requests still served, until the port
    closes, seconds: routers need about this long to hear of it."""
    grace_s: Annotated[float, Meta(ge=0)] = 25.0
    """Longest wait for requests in flight after the port closed, seconds: with the delay less
    than Kubernetes' default of 30 s."""
    slo_latency_ms: Annotated[str, Meta(pattern=r"^[0-9.,\s]*\Z")] = ""
    """Comma-separated latency thresholds that must be bucket boundaries, milliseconds."""
    admin_token: Secret = Secret("")
    """Bearer token of `/admin/faults`; empty: the route is off."""
    feedback_token: Secret = Secret("")
    """Bearer token of `/feedback`; empty: the route is off."""
    predictions_url: Secret = Secret("")
    """Prediction log: `jsonl:PATH`, `sqlite:PATH` or `postgresql://…`; empty: off."""
    revision: str = ""
    """Revision that this process belongs to, written with each prediction; the platform tells it
    (also read from `SLUICE_REVISION`). Empty: unknown."""
    user_header: Annotated[str, Meta(pattern=r"^[a-z0-9-]*\Z")] = "x-user-id"
    """Header whose value is written with each prediction as the user, lower case, so that outcomes
    can be counted by user; empty: none."""
    user_cookie: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]*\Z")] = "sluice_uid"
    """Cookie that names the user where the header does not; empty: none."""
    predictions_sample: _Share = 1.0
    """Share of predictions that is logged, chosen by a hash of the prediction id."""
    predictions_queue: Annotated[int, Meta(ge=1)] = 10_000
    """Predictions that may wait to be written; beyond it they are dropped and counted."""


def load_settings(**overrides: Any) -> tuple[Settings, Faults]:
    """Settings and faults from the environment.

    Args:
        overrides: Values of the command line, which win; ``None`` means not given.

    Raises:
        SettingsError: names every variable that cannot be used.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    faults: list[str] = []
    settings, on_demand = None, None
    try:
        settings = Settings.read(given)
    except UnusableError as error:
        faults += Settings.faults_of(error)
    try:
        on_demand = Faults.read({})
    except UnusableError as error:
        faults += Faults.faults_of(error)
    if settings is None or on_demand is None:
        raise SettingsError("; ".join(faults))
    return settings, on_demand

"""The platform's figures in one place."""

from dataclasses import dataclass
from pathlib import Path

from sluice.platforms.local.ports import PORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """How processes are run; the defaults suit a person who watches."""

    host: str = "127.0.0.1"
    """Address on which replicas are asked and reached."""
    ports: range = PORTS
    port_leases: Path | None = None
    """Folder of the lease files; by default one for all state folders of this user."""
    workdir: Path | None = None
    """Where commands start; by default the folder that the state folder lies in."""
    drain_grace_s: float = 0.5
    """From leaving ``ready`` to the end of the process, at least, seconds: routers let go."""
    drain_confirm_s: float | None = None
    """Instead of the grace: wait for ``confirm_removed``, but no longer than this, seconds."""
    backoff_first_s: float = 0.5
    """Wait before the first restart, seconds; it doubles with each."""
    backoff_max_s: float = 30.0
    backoff_reset_s: float = 60.0
    """A replica that lived so long, seconds, starts at the first wait again."""
    eager_probe_s: float = 0.2
    """Longest time between probes until the first success, seconds: periods made for a cluster
    would only make a person wait."""
    log_max_bytes: int = 8 << 20
    """Size at which a log is started anew, bytes; the part before it is kept, so twice that."""
    log_check_s: float = 5.0
    seed: int | None = None
    """Where the search for ports begins, for tests."""

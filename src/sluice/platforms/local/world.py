"""What all replicas of a platform share."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from sluice.platforms.local.folder import StateFolder
from sluice.platforms.local.options import LocalOptions
from sluice.platforms.local.ports import PortPool
from sluice.ports import Clock


class World:
    """Folder, figures, clock and ports of one platform."""

    def __init__(
        self, folder: StateFolder, options: LocalOptions, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self.folder = folder
        self.options = options
        self.clock = clock
        self.changed = changed
        """To be called when an endpoint came or went, or a replica ended."""
        self.ports = PortPool(options.ports, folder=options.port_leases, seed=options.seed)
        self.workdir: Path = options.workdir or folder.path.parent


def inherited_environment() -> dict[str, str]:
    """What a process gets from the supervisor's environment.

    All but ``SLUICE_*``, which are settings and secrets of Sluice itself. When Sluice runs in a
    virtual environment, its ``bin`` comes first in ``PATH``: ``python`` in a command is then that
    environment's, activated or not.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    if sys.prefix != sys.base_prefix:
        folders = [str(Path(sys.prefix) / "bin"), env.get("PATH", os.defpath)]
        env["PATH"] = os.pathsep.join(folders)
    return env

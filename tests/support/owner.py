"""A supervisor to be killed: ``owner.py FOLDER REPLICAS [NAME=VALUE ...]``; run as a script.

Says ``ready`` once all replicas are ready, and goes on until it is killed.
"""

import asyncio
import sys
from pathlib import Path

from sluice.platforms.local import Daemon, LocalPlatform, StateFolder
from tests.support import local


async def main() -> None:
    folder, replicas = Path(sys.argv[1]), int(sys.argv[2])
    env = dict(item.split("=", 1) for item in sys.argv[3:])
    state = StateFolder.claim(folder)
    platform = await LocalPlatform.open(state, options=local.options(folder))
    sys.stdout.write("open\n")
    sys.stdout.flush()
    daemon = Daemon(state, name="helper", argv=["sleep", "600"], env=env)
    await daemon.start()
    await platform.scale(local.workload("v1", env=env), replicas)
    await local.until_ready(platform, replicas)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main())

"""The replicas of one revision: so many as were asked for, under names that do not repeat."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from sluice.errors import Fault, SpecError, StateError
from sluice.nouns import Replicas, RevisionId, Workload
from sluice.platforms.local.folder import read_json, replace_file, state_errors
from sluice.platforms.local.process import Process
from sluice.platforms.local.process_spec import ProcessSpec
from sluice.platforms.local.replica import Replica
from sluice.platforms.local.template import parse_template
from sluice.platforms.local.world import World

_log = structlog.get_logger(__name__)
# Names become file names.
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,118}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A workload and its size, as kept in ``workloads/``."""

    workload: Workload
    replicas: int

    @property
    def path(self) -> str:
        """Name of its file."""
        return f"{self.workload.release}@{self.workload.revision}.json"


def read_wanted(folder: Path) -> list[Wanted]:
    """All that was asked for before, by file name.

    Raises:
        StateError: the folder cannot be read.
    """
    with state_errors("read", folder):
        paths = sorted(folder.glob("*.json"))
    found = []
    for path in paths:
        value: Mapping[str, Any] | None = read_json(path)
        if value is None:  # torn by a power cut: the runtime will ask again
            continue
        workload = Workload(
            release=value["release"],
            revision=RevisionId(value["revision"]),
            template=value["template"],
            port=value["port"],
        )
        found.append(Wanted(workload=workload, replicas=value["replicas"]))
    return found


class RevisionSet:
    """Keeps a revision at its size."""

    def __init__(self, world: World, workload: Workload) -> None:
        """Raises:
        SpecError: the template cannot be run here.
        """
        faults = [
            Fault(path=path, reason=f"{name!r} cannot be part of a file name")
            for path, name in (
                ("metadata.name", workload.release),
                ("revision", workload.revision),
            )
            if not _NAME.fullmatch(name)
        ]
        if faults:
            raise SpecError(faults)
        self.workload = workload
        self.desired = 0
        self.restarts = 0
        self._spec: ProcessSpec = parse_template(workload.template, port=workload.port)[0]
        self._world = world
        self._replicas: dict[int, Replica] = {}

    @property
    def gone(self) -> bool:
        """Whether nothing is asked for and nothing runs."""
        return self.desired == 0 and not self._replicas

    def resize(self, replicas: int) -> None:
        """Ask for a size; a size that is kept already costs nothing.

        Raises:
            StateError: the request cannot be kept; nothing changed. Never for size 0.
        """
        if replicas != self.desired:
            self._save(replicas)
            self.desired = replicas
        self._reconcile()

    def replace(self, name: str) -> None:
        """Drain a ready replica; another starts at once, under another name."""
        if self.desired == 0:
            return
        for replica in self._replicas.values():
            if replica.name == name and replica.endpoint is not None:
                replica.drain()
        self._reconcile()

    def adopt(self, process: Process) -> Replica:
        """Take over a replica of an earlier supervisor."""
        index = int(process.record.name.rpartition("-")[2])
        return self._start(index, process)

    def observe(self) -> Replicas:
        """What is to be seen now."""
        replicas = [self._replicas[index] for index in sorted(self._replicas)]
        ready = [replica for replica in replicas if replica.endpoint is not None]
        waiting = [item for item in replicas if item.endpoint is None and not item.draining]
        return Replicas(
            revision=self.workload.revision,
            desired=self.desired,
            ready=tuple(item.endpoint for item in ready if item.endpoint is not None),
            ready_since_ms={item.name: item.ready_since_ms for item in ready},
            running=sum(replica.running for replica in replicas),
            restarts=self.restarts + sum(replica.restarts for replica in replicas),
            message=f"{waiting[0].name}: {waiting[0].message}" if waiting else "",
        )

    def confirm_removed(self, names: frozenset[str] | None) -> None:
        """No router sends requests to these replicas any more; None: to any."""
        for replica in self._replicas.values():
            if names is None or replica.name in names:
                replica.confirm_removed()

    async def ended(self) -> None:
        """Return when every replica is gone."""
        await asyncio.gather(*(replica.ended() for replica in list(self._replicas.values())))

    async def leave(self) -> None:
        """Look after nothing any more; the processes run on."""
        await asyncio.gather(*(replica.leave() for replica in list(self._replicas.values())))

    def forget(self) -> None:
        """Remove the request from disk, as far as the disk allows it."""
        path = self._path
        try:
            with state_errors("remove", path):
                path.unlink(missing_ok=True)
        except StateError as error:
            _log.warning("revision.not_forgotten", path=str(path), reason=str(error))

    def _reconcile(self) -> None:
        staying = {i: item for i, item in self._replicas.items() if not item.draining}
        for _ in range(self.desired - len(staying)):
            free = next(i for i in range(len(self._replicas) + 1) if i not in self._replicas)
            self._start(free)
        # Those that serve stay, then the oldest.
        order = sorted(staying, key=lambda index: (staying[index].endpoint is None, index))
        for index in order[self.desired :]:
            staying[index].drain()

    def _start(self, index: int, adopted: Process | None = None) -> Replica:
        replica = Replica(
            self._world,
            self._spec,
            name=f"{self.workload.release}-{self.workload.revision}-{index}",
            release=self.workload.release,
            revision=self.workload.revision,
        )
        self._replicas[index] = replica
        task = replica.start(adopted)
        task.add_done_callback(lambda done: self._ended(index, replica, done))
        return replica

    def _ended(self, index: int, replica: Replica, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            return
        if error := task.exception():
            _log.error("replica.lost", replica=replica.name, exc_info=error)
            replica.kill()  # nobody looks after its process any more
        self.restarts += replica.restarts
        del self._replicas[index]
        self._world.changed()

    def _save(self, replicas: int) -> None:
        text = json.dumps(
            {
                "release": self.workload.release,
                "revision": self.workload.revision,
                "template": self.workload.template,
                "port": self.workload.port,
                "replicas": replicas,
            }
        )
        try:
            # Not fsynced: after a power cut nothing runs, and the runtime asks again.
            replace_file(self._path, text, durable=False)
        except StateError as error:
            if replicas > 0:
                raise
            # A full disk must not keep alive what has to go; removing a file works even then.
            _log.warning("revision.not_saved", path=str(self._path), reason=str(error))
            self.forget()

    @property
    def _path(self) -> Path:
        wanted = Wanted(workload=self.workload, replicas=0)
        return self._world.folder.workloads / wanted.path

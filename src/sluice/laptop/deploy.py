"""From documents to releases that run: checked whole, then taken one by one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sluice import spec
from sluice.engine.plan import Plan
from sluice.errors import Fault, SpecError
from sluice.laptop.library import Library
from sluice.platforms.local.template import parse_template
from sluice.ports import DataPlane
from sluice.runtime.loop import Loop

ANY_HOST = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of the files."""

    applied: tuple[dict[str, Any], ...]
    """``kind``, ``name``, ``changed`` and, for a release, ``revision``."""
    notices: tuple[str, ...]
    """Fields that have no meaning on a laptop, one line each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    release: spec.Release
    plan: Plan
    settings: spec.AnalysisSettings
    notices: tuple[str, ...]


class Deployer:
    """Takes documents into a loop.

    Args:
        loop: Its releases.
        dataplane: What routing may ask for.
        library: Documents that were applied before.
    """

    def __init__(self, loop: Loop, dataplane: DataPlane, library: Library) -> None:
        self._loop = loop
        self._dataplane = dataplane
        self._library = library

    async def apply(self, files: Sequence[tuple[str, str]]) -> Applied:
        """Apply (name, text) of files: all of them or, when one has a fault, none.

        Releases that were applied before follow a policy or an SLO that changed.

        Raises:
            SpecError: with every fault of every document.
            RefusedError: a release is being deleted.
            StateError: the documents cannot be kept.
        """
        documents = self._library.read(files)
        planned = self._plans(documents, documents.releases)
        changed = self._library.keep(documents)
        rows: list[dict[str, Any]] = []
        for item in planned:
            moved = await self._deploy(item)
            workload = spec.workload_of(item.release)
            key = (item.release.kind, item.release.name)
            changed = {**changed, key: moved}
            rows.append({"kind": key[0], "name": key[1], "revision": workload.revision})
        given = [key for key in documents.places if key[0] != "Release"]
        rows += [{"kind": kind, "name": name} for kind, name in given]
        if any(changed[key] for key in given):
            await self._follow({item.release.name for item in planned})
        return Applied(
            applied=tuple({**row, "changed": changed[row["kind"], row["name"]]} for row in rows),
            notices=tuple(line for item in planned for line in item.notices),
        )

    def forget(self, release: str) -> None:
        """A release was deleted."""
        self._library.forget(release)

    async def _follow(self, done: set[str]) -> None:
        known = self._library.documents
        others = [item for item in known.releases if item.name not in done]
        for item in self._plans(known, others):
            await self._deploy(item)

    async def _deploy(self, item: _Planned) -> bool:
        plan = self._with_any_host(item.plan)
        workload = spec.workload_of(item.release)
        return await self._loop.deploy(
            workload,
            plan,
            item.settings,
            variants=spec.variants_of(item.release),
            notices=item.notices,
        )

    def _plans(self, documents: spec.Documents, releases: Sequence[spec.Release]) -> list[_Planned]:
        faults: list[Fault] = []
        planned = []
        for release in releases:
            file = documents.place(release).file
            try:
                policy = documents.policy_of(release)
                plan = spec.to_plan(release, policy, self._dataplane.capabilities)
                settings = spec.analysis_settings(release, policy, documents.slos)
                ignored = without_meaning(release)
            except SpecError as error:
                faults += [replace(f, file=f.file or file) for f in error.faults]
                continue
            notices = tuple(
                f"{release.name}: {path} has no meaning on a laptop" for path in ignored
            )
            planned.append(_Planned(release=release, plan=plan, settings=settings, notices=notices))
        if faults:
            raise SpecError(faults)
        return planned

    def _with_any_host(self, plan: Plan) -> Plan:
        """The first release also takes requests for hosts that nobody claims.

        So that ``curl http://127.0.0.1:8080`` works; it stays with that release, because a second
        one must not take its users away.
        """
        owners = [
            name
            for name, item in self._loop.releases.items()
            if item.core.state.plan is not None and ANY_HOST in item.core.state.plan.hosts
        ]
        if ANY_HOST in plan.hosts or (owners and owners != [plan.release]):
            return plan
        return replace(plan, hosts=(*plan.hosts, ANY_HOST))


def without_meaning(release: spec.Release) -> list[str]:
    """Fields of the release that a laptop does not use.

    Raises:
        SpecError: a field would change what runs.
    """
    given = {
        "spec.autoscaling": release.spec.autoscaling,
        "spec.disruptionBudget": release.spec.disruption_budget,
    }
    paths = [path for path, value in given.items() if value is not None]
    main = spec.workload_of(release)
    for workload in (main, *(variant for _, variant in spec.variants_of(release))):
        _, ignored = parse_template(workload.template, port=workload.port)
        paths += [path for path in ignored if path not in paths]
    return paths

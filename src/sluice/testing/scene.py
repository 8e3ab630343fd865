"""The scene of a story: documents, deployments, load, and what was seen of one release."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from sluice.nouns import RevisionId
from sluice.reports.model import Decision, ReleaseStatus
from sluice.testing.laptop import Laptop, Load, wait_until
from sluice.testing.traffic.report import Report

READY_S = 120.0
"""Longest wait for what must come in the end, seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a story's revisions run; faults go to one version through a file or its environment."""

    command: Sequence[str]
    env: Callable[[str, Mapping[str, float], Path], Mapping[str, str]]
    """(version, faults, file for faults of this version) to variables."""
    ready: str = "/ready"
    path: str = "/predict"
    load: Sequence[str] = ()
    """Further arguments of the load, such as bodies."""


@dataclass(kw_only=True)
class Scene:
    """One release on a laptop: what is deployed, what load it has, what was seen of it."""

    laptop: Laptop
    model: Model
    name: str = ""
    release: str = "taxi"
    replicas: int = 2
    policy: dict[str, Any] = field(default_factory=dict)
    slos: list[dict[str, Any]] = field(default_factory=list)
    strategy: dict[str, Any] = field(default_factory=lambda: {"canary": {}})
    spec: dict[str, Any] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    revisions: dict[str, RevisionId] = field(default_factory=dict)
    """Revision of each version that was deployed."""
    loads: list[Load] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    rps: float = 0.0
    told_s: float = field(default_factory=time.monotonic)
    facts: dict[str, Any] = field(default_factory=dict)
    """What was measured, for the summary."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.settle()
        finally:
            self.laptop.end()

    # --- documents ---

    def faults_file(self, version: str) -> Path:
        """Where the faults of a version stand while it runs."""
        return self.laptop.folder / f"faults-{self.release}-{version}.json"

    def document(self, version: str, faults: Mapping[str, float]) -> dict[str, Any]:
        """The Release that asks for a version."""
        env = self.model.env(version, faults, self.faults_file(version))
        container = {
            "name": "model",
            "image": "sluice/story:1",
            "command": [*self.model.command],
            "env": [{"name": name, "value": value} for name, value in env.items()],
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": {
                "httpGet": {"path": self.model.ready, "port": "http"},
                "periodSeconds": 1,
                "timeoutSeconds": 5,
            },
        }
        spec: dict[str, Any] = {
            "replicas": self.replicas,
            "keepWarm": "60s",
            "progressDeadline": "120s",
            "strategy": self.strategy,
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/version": version}},
                "spec": {"containers": [container]},
            },
            **self.spec,
        }
        if self.policy:
            spec["policyRef"] = {"name": self.release}
        if self.hosts:
            spec["traffic"] = {"hosts": list(self.hosts)}
        return {
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "Release",
            "metadata": {"name": self.release},
            "spec": spec,
        }

    def documents(self, version: str, faults: Mapping[str, float]) -> str:
        """Everything that one deploy hands over, as YAML."""
        documents = [self.document(version, faults), *self.slos]
        if self.policy:
            documents.append(
                {
                    "apiVersion": "sluice.dev/v1alpha1",
                    "kind": "ReleasePolicy",
                    "metadata": {"name": self.release},
                    "spec": self.policy,
                }
            )
        return yaml.safe_dump_all(documents, sort_keys=False)

    def deploy(self, version: str, faults: Mapping[str, float]) -> RevisionId:
        """Deploy a version with the real command; its revision."""
        file = self.laptop.folder / f"{self.release}-{version}.yaml"
        file.write_text(self.documents(version, faults), encoding="utf-8")
        answer = json.loads(self.laptop.must("deploy", "-f", str(file), "-o", "json"))
        row = next(item for item in answer["applied"] if item["kind"] == "Release")
        self.revisions[version] = RevisionId(row["revision"])
        return self.revisions[version]

    # --- looking ---

    def status(self) -> ReleaseStatus:
        """Of the release, now.

        Raises:
            AssertionError: there is none.
        """
        status = self.laptop.status(self.release)
        if status is None:
            raise AssertionError(f"no status of {self.release}\n{self.told()}")
        return status

    def wait(
        self, condition: Callable[[ReleaseStatus], bool], *, within_s: float, what: str
    ) -> ReleaseStatus:
        """The first status that fits.

        Raises:
            AssertionError: none did; says what the last one was.
        """
        last: ReleaseStatus | None = None

        def fits() -> bool:
            nonlocal last
            last = self.laptop.status(self.release) or last
            return last is not None and condition(last)

        try:
            wait_until(fits, within_s=within_s, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.told(last)}") from None
        assert last is not None  # noqa: S101  # a status fitted
        return last

    def told(self, status: ReleaseStatus | None = None) -> str:
        """What is known when a story goes wrong."""
        log = self.laptop.state / "logs" / "supervisor.log"
        tail = log.read_text(errors="replace").splitlines()[-12:] if log.exists() else []
        said = [f"the last status: {status}", "the supervisor's log:", *tail]
        return "\n".join(said)

    def settle(self) -> Report:
        """End the load; everything that was sent in this story, as one report."""
        for load in self.loads:
            self.reports.append(load.finish())
        self.loads.clear()
        return _sum(self.reports)

    def candidate(self) -> RevisionId:
        """The revision deployed last."""
        return list(self.revisions.values())[-1]

    def exposure(self, pass_number: int) -> float:
        """Requests that the candidate was due in a pass: rate times weight times measured time.

        From decisions in the journal: each weight counts from the decision for it until the
        routers had acknowledged the next one.
        """
        weights = [
            item
            for item in self.laptop.history(self.release)
            if item.pass_number == pass_number and item.to_bp is not None
        ]
        return self.rps * sum(_weighted_s(a, b) for a, b in pairwise(weights))


def _weighted_s(one: Decision, following: Decision) -> float:
    effect_ms = following.effect_ms or 0
    assert one.to_bp is not None  # noqa: S101  # filtered by the caller
    return one.to_bp / 10_000 * (following.at_ms + effect_ms - one.at_ms) / 1000


def _sum(reports: Sequence[Report]) -> Report:
    total = Report()
    for report in reports:
        total.sent += report.sent
        total.reconnects += report.reconnects
        total.lost_by.update(report.lost_by)
        for revision, counts in report.outcomes.items():
            total.outcomes.setdefault(revision, type(counts)()).update(counts)
    return total

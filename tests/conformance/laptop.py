"""The world on this machine: real Envoy, agent, supervisor and replicas, and load over TCP."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml
from tests.conformance.papers import RELEASE, Papers
from tests.conformance.world import LATE_MS, Fits, Sums, brief

from sluice.nouns import RevisionId
from sluice.reports.model import ReleaseStatus
from sluice.testing.laptop import Laptop, Load, kill, wait_until
from sluice.testing.traffic.report import Outcome, Report

SERVER = Path(__file__).parents[1] / "e2e" / "server.py"
READY_S = 120.0
"""Machines are shared: the least time to wait for anything."""
SETTLE_S = 2.0
"""How long traffic goes on after the last thing of a story."""


class LaptopWorld:
    """See ``World``."""

    name = "laptop"

    def __init__(self, laptop: Laptop) -> None:
        self.laptop = laptop
        self.revisions: dict[str, RevisionId] = {}
        self._loads: list[Load] = []
        self._reports: list[Report] = []
        self._user_header = ""

    # --- what people do ---

    def deploy(self, papers: Papers, version: str) -> None:
        """See ``World``."""
        if self.laptop.supervisor() is None:
            self.laptop.up()
        if not self._faults_file(version).exists():
            self.faults(version, {})
        env = {"VERSION": version, "FAULTS": str(self._faults_file(version))}
        sticky = papers.spec.get("traffic", {}).get("sticky", {})
        self._user_header = sticky.get("header", "")
        outcomes = papers.strategy.get("abTest", {}).get("outcomes")
        if outcomes:
            # Each user is told of by the version that he met.
            env["OUTCOMES"] = str(self.laptop.folder / outcomes)
            (self.laptop.folder / outcomes).touch()
        documents = papers.documents(version, [sys.executable, "-I", "-S", str(SERVER)], env)
        container = documents[0]["spec"]["template"]["spec"]["containers"][0]
        pod = {"fieldRef": {"fieldPath": "metadata.name"}}
        container["env"].append({"name": "POD", "valueFrom": pod})
        file = self.laptop.folder / f"{version}.yaml"
        file.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
        answer = json.loads(self.laptop.must("deploy", "-f", str(file), "-o", "json"))
        row = next(item for item in answer["applied"] if item["kind"] == "Release")
        self.revisions[version] = RevisionId(row["revision"])

    def verb(self, verb: str, *words: str) -> str:
        """See ``World``."""
        extra = ["--yes"] if verb == "delete" else []
        ran = self.laptop.sluice(verb, RELEASE, *extra, *words)
        return (ran.err or f"exit code {ran.code}") if ran.code != 0 else ""

    def traffic(self, rps: float) -> None:
        """See ``World``."""
        self._finish()
        if rps:
            # As good as every request is a user of his own.
            users = ("--user-header", self._user_header, "--users", "10000000")
            self._loads.append(self.laptop.load(rps, more=users if self._user_header else ()))

    def faults(self, version: str, faults: Mapping[str, float]) -> None:
        """See ``World``."""
        path = self._faults_file(version)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(dict(faults)), encoding="utf-8")
        draft.replace(path)

    def _faults_file(self, version: str) -> Path:
        return self.laptop.folder / f"faults-{version}.json"

    # --- what breaks ---

    def kill(self, what: str) -> None:
        """See ``World``."""
        match what:
            case "controller":
                self.laptop.kill_supervisor()
            case "agent":
                kill(self.laptop.daemon("agent").pid)
            case "router":
                kill(self.laptop.daemon("envoy").pid)
            case _:
                replicas = self.laptop.replicas(self.revisions[what])
                # One that was killed a moment ago may not be back yet.
                if replicas:
                    kill(replicas[0].pid)

    def restart(self) -> None:
        """See ``World``."""
        self.laptop.up()

    # --- time ---

    def status(self) -> ReleaseStatus | None:
        """See ``World``."""
        return self.laptop.status(RELEASE)

    def now_s(self) -> float:
        """See ``World``."""
        return time.time()

    def until(self, fits: Fits, *, within_s: float, what: str) -> ReleaseStatus:
        """See ``World``."""
        last: ReleaseStatus | None = None

        def look() -> bool:
            nonlocal last
            last = self.status() or last
            return last is not None and fits(last)

        try:
            wait_until(look, within_s=max(within_s, READY_S), what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}; {brief(last)}") from None
        assert last is not None
        return last

    def after(self, seconds: float) -> None:
        """See ``World``."""
        time.sleep(seconds)

    def sums(self) -> Sums:
        """See ``World``."""
        if self._loads:
            time.sleep(SETTLE_S)
        self._finish()
        sums = Sums()
        for report in self._reports:
            sums.requests += report.done
            for revision, counts in report.outcomes.items():
                for outcome, number in counts.items():
                    if outcome is Outcome.OK:
                        continue
                    if outcome is Outcome.CLIENT_ERROR and not revision:
                        sums.unknown += number
                        continue
                    by = revision if outcome is Outcome.SERVER_ERROR else ""
                    sums.bad[by] = sums.bad.get(by, 0) + number
            for revision, histogram in report.latency.items():
                late = histogram.over(LATE_MS)
                sums.late[revision] = sums.late.get(revision, 0) + late
        return sums

    def _finish(self) -> None:
        self._reports += [load.finish() for load in self._loads]
        self._loads.clear()


@contextmanager
def laptop_world(folder: Path) -> Iterator[LaptopWorld]:
    """A state folder of its own for each story."""
    with Laptop(folder) as laptop:
        yield LaptopWorld(laptop)

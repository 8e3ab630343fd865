"""``make demo``: version 2 of a real model is released by canary, a good one and a bad one.

Real Envoy, real model servers, real trips as open-model traffic; nothing is simulated. State is
kept in ``.sluice-demo``, reports in ``.artifacts/demo``; all stops at the end without ``--keep``.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from examples.taxi.peers import peers_harm
from sluice.cli.client import Client
from sluice.cli.output import live_canvas
from sluice.cli.watch import LineShow, view
from sluice.errors import SluiceError, UnknownRelease
from sluice.nouns import Phase, RevisionId
from sluice.platforms.local.ports import in_use
from sluice.reports.html import release_report
from sluice.reports.model import Comparison, Decision, ReleaseStatus, TrafficPoint
from sluice.testing.traffic import Outcome, Report
from sluice_model_api.training import build
from sluice_model_api.training.trips import generate_trips, read_trips

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOME = ROOT / ".artifacts" / "demo"
RATE_RPS = 60.0
"""Enough for a decision within seconds, little enough for a laptop that does other things too."""
FAULT_RATE = 0.2
BODIES = 2_000
LIMIT_S = 100.0
"""A release that is not decided by then is a fault of the demo."""

console = Console(highlight=False)


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """One release of the demo and how it went."""

    title: str
    status: ReleaseStatus
    decisions: tuple[Decision, ...]
    candidate: RevisionId
    began_ms: int
    ended_ms: int

    @property
    def own(self) -> tuple[Decision, ...]:
        """Decisions of this pass."""
        number = self.decisions[-1].pass_number
        return tuple(item for item in self.decisions if item.pass_number == number)

    @property
    def decided_s(self) -> float | None:
        """From the first live request to the decision."""
        first = next((d.at_ms for d in self.own if (d.to_bp or 0) > 0), None)
        last = next((d.at_ms for d in self.own if d.kind in ("Promoted", "Aborted")), None)
        return (last - first) / 1000 if first is not None and last is not None else None


class Demo:
    """The story, told while it happens."""

    def __init__(self, *, keep: bool, port: int) -> None:
        self.keep = keep
        self.port = port
        # Commands of a release start in the folder that the state folder lies in.
        self.folder = ROOT / ".sluice-demo"
        self.load: subprocess.Popen[str] | None = None
        self.load_began_ms = 0

    def run(self) -> int:
        """Tell it; returns the exit code."""
        began = time.monotonic()
        try:
            with ExitStack() as stack:
                self._models()
                self._router(stack)
                with Client(self.folder) as client:
                    self._deploy(
                        client, "version 1 starts: the first revision becomes stable", "v1"
                    )
                    self._traffic(stack)
                    good = self._deploy(client, "version 2, a good one: it must be promoted", "v2")
                    bad = self._deploy(
                        client,
                        f"version 2 with a fault, {FAULT_RATE:.0%} errors: it must be turned back",
                        "v2-bad",
                    )
                    report = self._end_of_load()
                    pages = [self._page(good, report), self._page(bad, report)]
                self._summary(good, bad, report, pages)
        except SluiceError as error:
            console.print(f"[bold red]demo:[/] {error}")
            return 69
        console.print(f"\n{time.monotonic() - began:.0f} s in all.")
        if self.keep:
            folder = _short(self.folder)
            console.print(f"It still runs. Look: {_sluice()} status --watch -C {folder}")
            console.print(f"          Stop it: {_sluice()} down -C {folder}")
        right = good.status.phase is Phase.HEALTHY and bad.status.phase is Phase.ABORTED
        return 0 if right and report.lost == 0 else 1

    # --- the stage ---

    def _models(self) -> None:
        _say("two versions of a taxi trip-duration model: trained from trips, packed as bundles")
        if build.main(["--out", str(ROOT / ".artifacts" / "models"), "--if-missing"]):
            raise UnknownRelease("the models could not be built; see above")

    def _router(self, stack: ExitStack) -> None:
        _say("a router (Envoy) and a supervisor start")
        # What an earlier demo left, running or not, would make this one another story.
        _run(["down", "-C", str(self.folder)], quiet=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        _run(["up", "-C", str(self.folder), "--port", str(self.port)])
        if not self.keep:
            stack.callback(lambda: _run(["down", "-C", str(self.folder)]))

    def _traffic(self, stack: ExitStack) -> None:
        _say(
            f"users come: {RATE_RPS:g} requests per second, Poisson arrivals, real trips as bodies"
        )
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluice-demo-")))
        bodies = home / "trips.jsonl"
        bodies.write_text("\n".join(_bodies()))
        self.report_file = home / "report.json"
        self.load = subprocess.Popen(
            [
                *(sys.executable, "-m", "sluice.testing.traffic"),
                *("--url", f"http://127.0.0.1:{self.port}/predict", "--method", "POST"),
                *("--header", "content-type:application/json", "--body-file", str(bodies)),
                *("--rate", str(RATE_RPS), "--duration", "300", "--json", str(self.report_file)),
            ],
            stdout=stack.enter_context((home / "progress.jsonl").open("w")),
            text=True,
        )
        stack.callback(self._stop_load)
        self.load_began_ms = self._first_progress(home / "progress.jsonl")
        time.sleep(3)  # the request rate must be known before a candidate may have traffic

    def _first_progress(self, path: Path) -> int:
        """When the load began, UTC ms: it says so in its first line, after its own start."""
        while not path.read_text().endswith("\n"):
            if self.load is None or self.load.poll() is not None:
                raise UnknownRelease("the load generator ended before its first request")
            time.sleep(0.02)
        first = json.loads(path.read_text().splitlines()[-1])
        return int((time.time() - first["elapsed_s"]) * 1000)

    def _stop_load(self) -> None:
        if self.load is not None and self.load.poll() is None:
            self.load.send_signal(signal.SIGTERM)
            self.load.wait(timeout=60)

    def _end_of_load(self) -> Report:
        self._stop_load()
        return Report.from_json(json.loads(self.report_file.read_text()))

    # --- a release ---

    def _deploy(self, client: Client, title: str, version: str) -> Chapter:
        _say(title)
        names = [f"release-{version}.yaml", "policy.yaml", "slo.yaml"]
        files = [(name, (HERE / name).read_text()) for name in names]
        began_ms = int(time.time() * 1000)
        applied = client.apply(files, by="demo")
        revision = next(r["revision"] for r in applied["applied"] if r["kind"] == "Release")
        status = self._follow(client, RevisionId(str(revision)))
        return Chapter(
            title=title,
            status=status,
            decisions=client.history("taxi"),
            candidate=RevisionId(str(revision)),
            began_ms=began_ms,
            ended_ms=int(time.time() * 1000),
        )

    def _follow(self, client: Client, revision: RevisionId) -> ReleaseStatus:
        end = time.monotonic() + LIMIT_S
        with ExitStack() as stack:
            show = _shower(stack, [client.release("taxi")])
            while True:
                status = client.release("taxi")
                show(status)
                turned_back = status.phase is Phase.ABORTED and status.candidate == revision
                if status.stable == revision or turned_back:
                    return status
                if time.monotonic() > end:
                    raise UnknownRelease(f"not decided after {LIMIT_S:g} s: {status.message}")
                time.sleep(Client.poll_s)

    # --- what happened ---

    def _page(self, chapter: Chapter, report: Report) -> Path:
        comparison = self._comparison(chapter, report)
        page = release_report(
            chapter.status, chapter.own, self._points(chapter, report), comparison
        )
        good = "good" if chapter.status.phase is Phase.HEALTHY else "bad"
        path = HOME / f"report-{good}.html"
        path.write_text(page)
        return path

    def _comparison(self, chapter: Chapter, report: Report) -> Comparison:
        bad = chapter.status.phase is Phase.ABORTED
        points = self._points(chapter, report)
        return Comparison(
            requests=sum(point.requests for point in points),
            lost=report.lost,
            harmed=report.harmed(chapter.candidate),
            decided_s=chapter.decided_s,
            peers=peers_harm(rps=RATE_RPS, error_rate=FAULT_RATE) if bad else (),
        )

    def _points(self, chapter: Chapter, report: Report) -> list[TrafficPoint]:
        points = []
        for second, counts in report.seconds.items():
            at_ms = self.load_began_ms + second * 1000
            if not chapter.began_ms - 2_000 <= at_ms <= chapter.ended_ms:
                continue
            points += [
                TrafficPoint(
                    at_ms=at_ms,
                    revision=RevisionId(revision),
                    requests=sum(outcomes.values()),
                    errors=outcomes[Outcome.SERVER_ERROR] + outcomes[Outcome.LOST],
                )
                for revision, outcomes in counts.items()
                if revision
            ]
        return points

    def _summary(self, good: Chapter, bad: Chapter, report: Report, pages: list[Path]) -> None:
        table = Table(title="what happened", title_justify="left", box=None, padding=(0, 2, 0, 0))
        for name in ("", "good version 2", "bad version 2"):
            table.add_column(name, justify="left" if not name else "right")
        rows: list[tuple[str, Callable[[Chapter], str]]] = [
            ("end", lambda c: "promoted" if c.status.phase is Phase.HEALTHY else "turned back"),
            ("decided after", lambda c: _seconds(c.decided_s)),
            ("candidate requests", lambda c: f"{_requests(report, c):,}"),
            ("harmed users' requests", lambda c: f"{report.harmed(c.candidate):,}"),
        ]
        for name, cell in rows:
            table.add_row(name, cell(good), cell(bad))
        console.print()
        console.print(table)
        console.print(
            f"\n{report.sent:,} requests were sent in {report.elapsed_s:.0f} s, "
            f"{report.lost:,} of them lost."
        )
        console.print("\nThe bad version at the same traffic, by the rules of other tools:")
        for peer in peers_harm(rps=RATE_RPS, error_rate=FAULT_RATE):
            console.print(f"  {peer.harmed:>7,.0f} harmed  {peer.name}", soft_wrap=True)
            console.print(f"{'':>18}{peer.note}", style="dim", soft_wrap=True)
        console.print(f"  {report.harmed(bad.candidate):>7,} harmed  sluice, as counted above")
        console.print("\nReports with the timeline and every decision:")
        for page in pages:
            console.print(f"  {_short(page)}")


def _requests(report: Report, chapter: Chapter) -> int:
    """Candidate requests before the decision."""
    verdict = next((d.verdict for d in reversed(chapter.own) if d.verdict), None)
    return verdict.requests if verdict else 0


def _shower(stack: ExitStack, known: Sequence[ReleaseStatus]) -> Callable[[ReleaseStatus], None]:
    """A live view on a terminal, a line a change elsewhere."""
    if not console.is_terminal:
        lines = LineShow(
            lambda line: console.print(f"  {line}", soft_wrap=True),
            known=known,
            keeper=Client.keeper,
        )
        return lambda status: lines.update((status,))
    live = stack.enter_context(Live(console=console, auto_refresh=False))
    return lambda status: live.update(view((status,), live_canvas(console)), refresh=True)


def _bodies() -> list[str]:
    """Trips of the data set as requests of the model's own fields."""
    path = os.environ.get("TRIPS")
    trips = read_trips(Path(path)) if path else generate_trips(count=BODIES)
    fields = ("pickup_datetime", "PULocationID", "DOLocationID", "trip_distance")
    columns = [trips.columns(fields)[name][:BODIES].tolist() for name in fields]
    return [json.dumps(dict(zip(fields, row, strict=True))) for row in zip(*columns, strict=True)]


def _run(arguments: Sequence[str], *, quiet: bool = False) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sluice.cli", *arguments], capture_output=True, text=True, cwd=ROOT
    )
    if done.returncode and not quiet:
        raise UnknownRelease(f"`sluice {' '.join(arguments)}`: {done.stderr.strip()}")


def _sluice() -> str:
    return _short(Path(sys.executable).with_name("sluice"))


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _say(text: str) -> None:
    console.print(f"\n[bold]▶ {text}[/]", soft_wrap=True)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


def _free_port(wanted: int) -> int:
    return next(port for port in range(wanted, wanted + 100) if not in_use(port))


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument("--port", type=int, default=0, help="of the router (default: 8080 or next)")
    asked = parser.parse_args()
    HOME.mkdir(parents=True, exist_ok=True)
    return Demo(keep=asked.keep, port=asked.port or _free_port(8_080)).run()


if __name__ == "__main__":
    sys.exit(main())

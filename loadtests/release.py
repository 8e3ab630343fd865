"""``make load-release``: a release while users come; before, during and after judged apart.

Starts a router and version 1 in a folder of its own, runs a profile, releases version 2 by the
strategy, and shows that no request was lost round any change of routing.
"""

import argparse
import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from loadtests.__main__ import OUT, Parser, add_common, asked_of, placed, said
from loadtests.asked import objectives_of, seconds_of
from loadtests.rehearsals import KNOWN, Stands, prepared, rehearsal_of
from loadtests.run import ROOT, probe, read_back, start
from sluice.analysis.load import LoadRules
from sluice.analysis.loadrun import LoadEvent, LoadRun
from sluice.cli.client import Client
from sluice.cli.exits import ExitCode
from sluice.cli.slo import CODES
from sluice.errors import RefusedError, SluiceError, TransientError
from sluice.reports import document
from sluice.reports.load import LoadReport, load_report
from sluice.reports.load_html import load_html
from sluice.reports.load_view import load_junit, load_view
from sluice.reports.model import Decision

TAXI = ROOT / "examples" / "taxi"
EXAMPLES = ROOT / "docs" / "images"
Window = tuple[str, float, float]
"""Name, from, to: seconds after the load began."""
LOOK_S = 1.0
BEFORE_S, AFTER_S = 1.0, 2.0
"""Round a change of routing: so long before it and after it no request may be lost."""
_LONGEST_S = 900.0
_END_S = 60.0


def windows_of(
    decisions: Sequence[Decision], run: LoadRun, *, deployed_s: float, ended_s: float
) -> tuple[tuple[LoadEvent, ...], list[Window], list[Window]]:
    """Events of the release, and the parts of the run that are judged apart.

    Args:
        decisions: Of the pass, oldest first.
        run: What was counted meanwhile.
        deployed_s: When the release was asked for, seconds after the load began.
        ended_s: When it had ended, likewise.

    Returns:
        Events; (name, from, to) of before, during and after; the same round each change of routing.
    """
    events, changes, served = [], [], 0
    for decision in decisions:
        at_s = (decision.at_ms - run.started_ms) / 1000
        if not deployed_s - BEFORE_S <= at_s <= ended_s + AFTER_S:
            served = decision.generation
            continue
        what = f"{decision.kind}: {decision.message}"
        events.append(LoadEvent(at_s=at_s, what=what))
        if decision.generation != served:
            end_s = at_s + (decision.effect_ms or 0) / 1000 + AFTER_S
            changes.append(
                (_change(decision), float(math.floor(at_s - BEFORE_S)), float(math.ceil(end_s)))
            )
            served = decision.generation
    parts = [
        ("before", 0.0, deployed_s),
        ("during", deployed_s, ended_s),
        ("after", ended_s, run.duration_s),
    ]
    return tuple(events), parts, changes


def _change(decision: Decision) -> str:
    """A change of routing in words: shares, or, where those stay (mirror, preview), its number."""
    if decision.to_bp is not None and decision.to_bp != (decision.from_bp or 0):
        return f"routing {(decision.from_bp or 0) / 100:g}% to {decision.to_bp / 100:g}%"
    return f"routing {decision.generation}: {decision.kind}"


def code_of_report(report: LoadReport, released: int) -> int:
    """The exit code: a lost request or a release that did not end well is a failure."""
    if released or report.lost or any(part.lost for part in report.windows):
        return ExitCode.FAILED
    return CODES[report.verdict.kind]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code."""
    parser = Parser(prog="python -m loadtests.release", description=__doc__)
    add_common(parser)
    add = parser.add_argument
    known = ", ".join(item.strategy for item in KNOWN)
    add("--strategy", default="canary", help=f"{known} (default %(default)s)")
    add("--rate", type=float, default=40.0, help="requests a second (default %(default)g)")
    add("--profile", default="constant", help="traffic profile: a name or a YAML file")
    add("--before", default="35s", help="load before the release (default %(default)s)")
    add("--after", default="35s", help="load after it (default %(default)s)")
    add("--port", type=int, default=18080, help="port of the router (default %(default)s)")
    add("--keep", action="store_true", help="keep the page as the example in docs/images as well")
    parser.set_defaults(out=None)
    options = parser.parse_args(arguments)
    options.out = options.out or OUT / f"release-{options.strategy}"
    options.url = f"http://127.0.0.1:{options.port}"
    options.slo = options.slo or [str(TAXI / "slo.yaml")]
    try:
        return _run(options)
    except SluiceError as error:
        return said(error)


def _run(options: argparse.Namespace) -> int:
    get = vars(options).__getitem__
    rehearsal = rehearsal_of(get("strategy"))
    objectives = objectives_of(get("slo"), get("threshold"))
    before_s, after_s = seconds_of(get("before")), seconds_of(get("after"))
    folder = ROOT / ".sluice-load"
    asked = asked_of(
        options,
        profile=placed(get("profile")),
        rate=get("rate"),
        length=f"{_LONGEST_S:g}s" if get("profile") == "constant" else "",
    )
    asked.traffic()
    files = ["-f", str(TAXI / "policy.yaml"), "-f", str(TAXI / "slo.yaml")]
    with ExitStack() as stack:
        _build_models()
        _sluice("down", "-C", str(folder), check=False)
        shutil.rmtree(folder, ignore_errors=True)
        _sluice("up", "-C", str(folder), "--port", str(get("port")))
        stack.callback(lambda: _sluice("down", "-C", str(folder), check=False))
        wait = ["--wait", "--timeout", "5m", "-C", str(folder)]
        _sluice("deploy", "-f", str(TAXI / "release-v1.yaml"), *files, *wait)
        probe(asked.url)
        asked.run_file.parent.mkdir(parents=True, exist_ok=True)
        asked.run_file.unlink(missing_ok=True)
        release, stands = prepared(rehearsal, TAXI, asked.run_file.parent)
        if rehearsal.beside:
            sys.stdout.write(f"{rehearsal.strategy}: {rehearsal.beside}\n")
        locust = start(asked)
        stack.callback(lambda: _end(locust))
        time.sleep(before_s + 5.0)
        deployed_ms = time.time() * 1000
        released = _released(folder, ["-f", str(release), *files, *wait], stands)
        ended_ms = time.time() * 1000
        time.sleep(after_s)
        run = read_back(asked.run_file, _end(locust))
        with Client(folder) as client:
            decisions = client.history("taxi")
    events, windows, changes = windows_of(
        decisions,
        run,
        deployed_s=(deployed_ms - run.started_ms) / 1000,
        ended_s=(ended_ms - run.started_ms) / 1000,
    )
    run = replace(run, events=events)
    asked.run_file.write_bytes(document.dump_json(run))
    rules = LoadRules(late_ms=get("late_ms"))
    report = load_report(run, objectives, rules, windows=windows, changes=changes)
    out: Path = get("out")
    page = load_html(report, run, objectives)
    (out / "report.html").write_text(page, encoding="utf-8")
    if get("keep"):
        EXAMPLES.mkdir(parents=True, exist_ok=True)
        (EXAMPLES / f"load-release-{rehearsal.strategy}.html").write_text(page, encoding="utf-8")
    (out / "junit.xml").write_text(load_junit(report), encoding="utf-8")
    (out / "report.json").write_bytes(document.dump_json(report, indent=2))
    sys.stdout.write(f"{load_view(report).plain}\nreport: {out / 'report.html'}\n")
    return code_of_report(report, released)


def _build_models() -> None:
    words = ["-m", "sluice_model_api.training.build", "--out", ".artifacts/models", "--if-missing"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise TransientError(f"the models could not be built: {done.stderr.strip()}")


def _sluice(*words: str, check: bool = True) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "sluice.cli", *words],
        cwd=ROOT,
        capture_output=not check and words[0] == "down",
        text=True,
    )
    if check and done.returncode:
        raise TransientError(f"sluice {words[0]} ended with {done.returncode}; see above")
    return done.returncode


def _released(folder: Path, words: Sequence[str], stands: Stands) -> int:
    """Deploy and wait for the end, with somebody beside it; the exit code of ``sluice deploy``."""
    command = [sys.executable, "-m", "sluice.cli", "deploy", *words]
    with subprocess.Popen(command, cwd=ROOT) as deploy, Client(folder) as client:
        while deploy.poll() is None:
            with suppress(RefusedError):  # it went on by itself in between
                stands(client, client.release("taxi"))
            time.sleep(LOOK_S)
        return int(deploy.returncode)


def _end(locust: "subprocess.Popen[str]") -> str:
    if locust.poll() is None:
        locust.send_signal(signal.SIGINT)
    if locust.stdout is None or locust.stdout.closed:
        return ""
    output, _ = locust.communicate(timeout=_END_S)
    return output


if __name__ == "__main__":
    sys.exit(main())

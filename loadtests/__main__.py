"""``make load``: run a profile against a server and judge it, in one go.

Ends with 0 passed, 1 failed, 2 inconclusive, 3 invalid or not measured, 64 usage, 69 no server, so
that a gate of a release (``kind: load``) can be this command.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from loadtests.asked import objectives_of
from loadtests.run import HERE, ROOT, Asked, run
from sluice.cli.exits import ExitCode, code_of
from sluice.cli.main import run as sluice
from sluice.errors import SluiceError, SpecError

OUT = ROOT / ".artifacts" / "load"


class Parser(argparse.ArgumentParser):
    """Ends with the exit code of wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.USAGE, f"load: {message}\n")


def add_common(parser: argparse.ArgumentParser) -> None:
    """Options that every way to run a load test has."""
    add = parser.add_argument
    add("--url", default=_default_url(), help="the server (default %(default)s)")
    add("--slo", action="append", default=[], metavar="FILE", help="file with SLOs")
    add("--threshold", action="append", default=[], metavar="TEXT", help='k6: "p(95)<200"')
    add("--locustfile", "-f", type=Path, default=HERE / "locustfile.py")
    add("--tags", nargs="*", default=[], help="only tasks with these tags: json, binary, predict")
    add("--processes", type=int, default=1, help="generator processes")
    add("--late-ms", type=int, default=10, help="arrivals begun later than this are late")
    add("--out", type=Path, default=OUT, help="folder for run.json, report.html, junit.xml")


def _default_url() -> str:
    # as a gate of a release, the candidate is asked
    return os.environ.get("SLUICE_CANDIDATE_URL") or "http://127.0.0.1:8080"


def asked_of(options: argparse.Namespace, **others: object) -> Asked:
    """What the common options ask for."""
    fields = {
        "url": options.url,
        "run_file": options.out.absolute() / "run.json",
        "locustfile": options.locustfile.absolute(),
        "processes": options.processes,
        "tags": options.tags,
        "late_ms": options.late_ms,
        "slo": [str(Path(name).absolute()) for name in options.slo],
        "thresholds": options.threshold,
        **others,
    }
    return Asked(**fields)


def placed(profile: str) -> str:
    """A profile's file by its whole path, because locust runs in the project's folder."""
    return str(Path(profile).absolute()) if Path(profile).is_file() else profile


def judge_words(options: argparse.Namespace, run_file: Path, folder: Path) -> list[str]:
    """The words of ``sluice slo check`` for a run of these options."""
    words = ["slo", "check", str(run_file), "--late-ms", str(options.late_ms)]
    for name in options.slo:
        words += ["--slo", name]
    for text in options.threshold:
        words += ["--threshold", text]
    return [*words, "--html", str(folder / "report.html"), "--junit", str(folder / "junit.xml")]


def said(error: SluiceError) -> int:
    """Tell an error in one line each; returns its exit code."""
    faults = error.faults if isinstance(error, SpecError) else (error,)
    for fault in faults:
        sys.stderr.write(f"load: {fault}\n")
    return code_of(error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and judge; returns the exit code."""
    parser = Parser(prog="python -m loadtests", description=__doc__)
    add_common(parser)
    add = parser.add_argument
    add("--profile", default="constant", help="traffic profile: a name or a YAML file")
    add("--rate", type=float, help="highest rate of the profile, requests per second")
    add("--length", default="", help="how long the profile lasts, such as 2m")
    add("--baseline", metavar="RUN", help="raw counts of an earlier run to compare with")
    add("--stop-early", action="store_true", help="stop when the SLO fails for certain")
    add("--max-in-flight", type=int, default=1000, help="requests under way per process")
    options = parser.parse_args(arguments)
    if not options.slo and not options.threshold:
        parser.error('nothing to judge by: give --slo FILE, or --threshold "p(95)<200"')
    if options.processes < 1 or options.max_in_flight < 1:
        parser.error("--processes and --max-in-flight must be at least 1")
    if options.rate is not None and options.rate <= 0:
        parser.error("--rate must be above 0 requests per second")
    asked = asked_of(
        options,
        profile=placed(options.profile),
        rate=options.rate,
        length=options.length,
        stop_early=options.stop_early,
        max_in_flight=options.max_in_flight,
    )
    try:
        objectives_of(options.slo, options.threshold)
        run(asked)
    except SluiceError as error:
        return said(error)
    words = judge_words(options, asked.run_file, options.out)
    words += ["--baseline", options.baseline] if options.baseline else []
    code = sluice(words)
    sys.stdout.write(f"\nreport: {options.out / 'report.html'}, counts: {asked.run_file}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())

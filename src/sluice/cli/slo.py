"""``sluice slo``: one SLO file for checks, load tests and alerts."""

from pathlib import Path
from typing import Annotated

import typer

from sluice.analysis.load import LoadRules
from sluice.analysis.loadrun import FORMAT, LoadRun
from sluice.cli.exits import ExitCode, WrongUsage
from sluice.cli.options import OutputOption, seconds
from sluice.cli.output import Output, emit
from sluice.errors import Fault, SpecError
from sluice.nouns import LATENCY_GRID_MS, Objective, VerdictKind
from sluice.reports import document
from sluice.reports.load import load_report
from sluice.reports.load_html import load_html
from sluice.reports.load_view import load_junit, load_view

CODES = {
    VerdictKind.PASSED: ExitCode.DONE,
    VerdictKind.FAILED: ExitCode.FAILED,
    VerdictKind.INCONCLUSIVE: ExitCode.UNDECIDED,
    VerdictKind.INVALID: ExitCode.NOT_MEASURED,
    VerdictKind.ERROR: ExitCode.NOT_MEASURED,
}
Slos = Annotated[
    list[str], typer.Option("--slo", metavar="FILE", help="YAML with SLOs; - is stdin.")
]
Thresholds = Annotated[
    list[str],
    typer.Option(
        "--threshold", metavar="TEXT", help='Objective as k6 writes it: "p(95)<200", "rate<0.01".'
    ),
]


def check(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Raw counts of a load test (JSON).")],
    slo: Slos = [],  # noqa: B006  # typer reads it, nobody changes it
    threshold: Thresholds = [],  # noqa: B006  # likewise
    version: Annotated[
        str | None,
        typer.Option("--version", metavar="VERSION", help="Judge the answers of one version only."),
    ] = None,
    skip: Annotated[
        str, typer.Option("--skip", metavar="TIME", help="Leave out the beginning: warm-up.")
    ] = "0s",
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="RUN", help="An earlier run to compare with."),
    ] = None,
    window: Annotated[
        list[str],
        typer.Option(
            "--window", metavar="NAME=FROM..TO", help="A part to judge on its own: a=10s..20s."
        ),
    ] = [],  # noqa: B006  # likewise
    late_ms: Annotated[
        int, typer.Option("--late-ms", metavar="MS", help="Arrivals begun later are late.")
    ] = 10,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write it as JUnit XML.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> int:
    """Judge the raw counts of a load test: passed 0, failed 1, inconclusive 2, invalid 3.

    Exact bounds at 95%, corrected for requests that fail together. Inconclusive says how many more
    requests are needed, invalid what is wrong with the measurement.
    """
    objectives = objectives_of(slo, threshold)
    if late_ms not in LATENCY_GRID_MS:
        raise WrongUsage(f"--late-ms {late_ms}: use one of {', '.join(map(str, LATENCY_GRID_MS))}")
    counted = read_run(run)
    if version is not None:
        if version not in counted.versions:
            known = ", ".join(counted.versions) or "none"
            raise WrongUsage(f"--version {version}: no answer has it; there is {known}")
        counted = counted.only(version)
    if seconds(skip):
        if seconds(skip) >= counted.duration_s:
            raise WrongUsage(f"--skip {skip}: the run lasted {counted.duration_s:g} s")
        counted = counted.between(seconds(skip), counted.duration_s)
    report = load_report(
        counted,
        objectives,
        LoadRules(late_ms=late_ms),
        baseline=read_run(baseline) if baseline else None,
        windows=[_window(text) for text in window],
    )
    if html is not None:
        _write(html, load_html(report, counted, objectives))
    if junit is not None:
        _write(junit, load_junit(report))
    emit(output, report, lambda _: load_view(report))
    return CODES[report.verdict.kind]


def objectives_of(files: list[str], thresholds: list[str]) -> tuple[Objective, ...]:
    """Objectives of SLO files and threshold strings.

    Raises:
        WrongUsage: neither was given.
        SpecError: a file or a string cannot be used.
    """
    from sluice import spec  # slow to import
    from sluice.spec.thresholds import objective_of_threshold

    slos = spec.load(files).slos if files else ()
    written = [
        Objective(name=s.name, kind=s.sli, target=s.target, threshold_ms=s.threshold_ms)
        for s in slos
    ]
    written += [objective_of_threshold(text) for text in thresholds]
    if not written:
        what = f"{', '.join(files)} holds no SLO" if files else "nothing to judge by"
        raise WrongUsage(f'{what}: give --slo FILE with kind: SLO, or --threshold "p(95)<200"')
    return tuple(written)


def read_run(name: str) -> LoadRun:
    """Raw counts of a file.

    Raises:
        SpecError: no such file, or not raw counts.
    """
    try:
        text = Path(name).read_bytes()
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        raise SpecError([Fault(path="file", reason=reason, file=name)]) from error
    try:
        run = document.parse(LoadRun, text)
    except ValueError as error:
        reason = "is not the raw counts of a load test (make load writes them as run.json)"
        raise SpecError([Fault(path="file", reason=reason, file=name)]) from error
    if run.format != FORMAT:
        reason = f"has format {run.format}, this sluice reads {FORMAT}"
        raise SpecError([Fault(path="format", reason=reason, file=name)])
    return run


def _window(text: str) -> tuple[str, float, float]:
    name, _, span = text.partition("=")
    start, dots, end = span.partition("..")
    if not name or not dots:
        raise WrongUsage(f"--window {text}: write NAME=FROM..TO, such as before=0s..30s")
    return name, seconds(start), seconds(end)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WrongUsage(f"{path}: cannot be written: {error.strerror or error}") from error

"""Commands that need nothing running: plan, lint, simulate."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from sluice.cli.exits import ExitCode, WrongUsage
from sluice.cli.options import OutputOption, seconds
from sluice.cli.output import Output, emit, working
from sluice.reports import words
from sluice.reports.plan import plan_report, plan_view
from sluice.reports.simulation import simulation_view

if TYPE_CHECKING:
    from sluice import spec

Files = Annotated[
    list[str],
    typer.Option(
        "--file", "-f", metavar="FILE", help="YAML with releases, policies, SLOs; - is stdin."
    ),
]
Rates = Annotated[
    list[str],
    typer.Option(metavar="RATE", help="Share of bad answers, 0.01 is 1%; or OBJECTIVE=RATE."),
]


def plan(
    files: Files,
    rps: Annotated[
        float | None,
        typer.Option(
            "--rps",
            min=0.001,
            metavar="RATE",
            help="Requests per second that the release has.",
            show_default="harm is told per 100",
        ),
    ] = None,
    users_per_day: Annotated[
        float | None,
        typer.Option(
            "--users-per-day",
            min=0.001,
            metavar="USERS",
            help="New users a day, for the length of A/B tests.",
            show_default="told in users",
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the steps of a release, and what a dead candidate would cost at each.

    Nothing has to run. As a document: a list, one entry a release.
    """
    from sluice import spec  # slow to import, and only these commands read files themselves

    documents = spec.load(files)
    reports = tuple(
        plan_report(
            spec.to_plan(release, documents.policy_of(release)),
            rps=rps,
            users_per_day=users_per_day,
        )
        for release in _releases(documents)
    )
    emit(
        output,
        reports,
        lambda place: Group(*_spaced(plan_view(report, place) for report in reports)),
    )


def lint(
    files: Files,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 when there is a warning.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> int:
    """Check files without applying them: every fault with file, line, path and what to do.

    A fault ends with 64. What is legal and probably not meant is a warning.
    """
    from sluice import spec

    documents = spec.load(files)
    for release in documents.releases:
        spec.to_plan(release, documents.policy_of(release))
    warnings = spec.lint(documents)
    names = [f"{document.kind} {document.name}" for document in documents]
    lines = [f"{name}: no fault" for name in names]
    lines += [f"warning: {warning} ({warning.rule})" for warning in warnings]
    emit(output, {"documents": names, "warnings": warnings}, lambda _: Text("\n".join(lines)))
    return ExitCode.FAILED if strict and warnings else ExitCode.DONE


def simulate(
    files: Files,
    rps: Annotated[
        float, typer.Option("--rps", min=0.001, metavar="RATE", help="Requests per second.")
    ],
    stable: Rates,
    candidate: Rates,
    fault_after: Annotated[
        str,
        typer.Option(
            "--fault-after", metavar="TIME", help="The candidate is like stable for so long."
        ),
    ] = "0s",
    runs: Annotated[int, typer.Option("--runs", min=1, max=1_000_000, help="Passes.")] = 1_000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed, the same passes.")] = 1,
    output: OutputOption = Output.TABLE,
) -> None:
    """Run thousands of passes in virtual time: how a release would end, how soon, at what harm.

    The engine and the checks are those of a real release; only the requests are drawn.
    """
    from sluice import spec
    from sluice.runtime.simulate import simulate as run

    documents = spec.load(files)
    releases = _releases(documents)
    if len(releases) > 1:
        names = ", ".join(release.name for release in releases)
        raise WrongUsage(f"one release at a time can be simulated; the files hold {names}")
    release = releases[0]
    policy = documents.policy_of(release)
    settings = spec.analysis_settings(release, policy, documents.slos)
    objectives = [objective.name for objective in settings.objectives]
    with working(f"simulating {runs:,} passes ..."):
        result = run(
            spec.to_plan(release, policy),
            settings,
            stable_bad=_rates("--stable", stable, objectives),
            candidate_bad=_rates("--candidate", candidate, objectives),
            rps=rps,
            fault_after_s=seconds(fault_after),
            runs=runs,
            seed=seed,
        )
    late = f", after {words.duration(seconds(fault_after) * 1000)}" if seconds(fault_after) else ""
    title = (
        f"{release.name}: {runs:,} passes at {rps:g} requests per second; bad answers: "
        f"stable {' '.join(stable)}, candidate {' '.join(candidate)}{late}"
    )
    emit(output, result, lambda place: simulation_view(result, title, place))


def _spaced(views: Iterable[RenderableType]) -> Iterator[RenderableType]:
    for number, view in enumerate(views):
        if number:
            yield Text()
        yield view


def _releases(documents: "spec.Documents") -> "tuple[spec.Release, ...]":
    if not documents.releases:
        raise WrongUsage("the files hold no release: give the file with `kind: Release` as well")
    return documents.releases


def _rates(option: str, texts: Iterable[str], objectives: Sequence[str]) -> dict[str, float]:
    rates: dict[str, float] = {}
    for text in sorted(texts, key=lambda text: "=" in text):
        name, _, number = text.rpartition("=")
        try:
            rate = float(number)
        except ValueError:
            rate = -1.0
        if not 0 <= rate <= 1:
            raise WrongUsage(f"{option} {text}: a share of bad answers lies between 0 and 1")
        if name and name not in objectives:
            known = ", ".join(objectives)
            raise WrongUsage(f"{option} {text}: no objective {name}; there is {known}")
        rates.update({name: rate} if name else dict.fromkeys(objectives, rate))
    missing = [name for name in objectives if name not in rates]
    if missing:
        raise WrongUsage(f"{option}: nothing said of {', '.join(missing)}")
    return rates

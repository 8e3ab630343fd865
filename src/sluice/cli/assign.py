"""Which variant a user gets: asked of what runs, or computed from a file."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.table import Table

from sluice.cli.backend import connect
from sluice.cli.exits import WrongUsage
from sluice.cli.options import OutputOption, one_release
from sluice.cli.output import Output, emit
from sluice.cli.where import Where, acting
from sluice.dataplanes.assignment import arm_for, bucket
from sluice.engine.desired import live_shares, salt_of
from sluice.engine.plan import CANDIDATE, STABLE, Fixed, Plan
from sluice.errors import RefusedError
from sluice.nouns import BP_TOTAL

STDIN = "-"

Arms = Sequence[tuple[tuple[str, str], int]]
"""((variant, revision), basis points) in the router's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """One user and where he is sent."""

    user: str
    variant: str
    revision: str
    """Empty when it was computed from a file, which knows no revision of stable."""
    place_bp: int
    """Where he lies among the 10,000 basis points that the arms share."""


@acting
def assign(
    users: Annotated[
        list[str],
        typer.Argument(
            metavar="USER...",
            help="Values of the sticky header or cookie; - reads one a line from stdin.",
            show_default=False,
        ),
    ],
    release: Annotated[
        str | None,
        typer.Option("--release", metavar="NAME", help="The release.", show_default="the only one"),
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--file", "-f", metavar="FILE", help="Compute from this YAML; nothing has to run."
        ),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option(
            "--pass", min=1, metavar="N", help="With --file: the pass; `status` shows it."
        ),
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(
            "--weight",
            min=0,
            max=99.99,
            metavar="PERCENT",
            help="With --file: the candidate's weight, where no A/B test fixes it.",
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """Show which variant each user gets, exactly as the router chooses it.

    Users who ask for an arm by the forced header get that one instead.
    """
    if files:
        salt, arms = _of_files(files, release, number, weight)
    elif number is not None or weight is not None:
        raise WrongUsage("--pass and --weight belong to --file; what runs knows its own")
    else:
        salt, arms = _of_running(release, where)
    found = []
    for user in _users(users):
        place = bucket(salt, user)
        variant, revision = arm_for(place, arms)
        found.append(Assigned(user=user, variant=variant, revision=revision, place_bp=place))
    emit(output, found, lambda _: _table(found))


def _users(words: Sequence[str]) -> list[str]:
    if STDIN not in words:
        return list(words)
    lines = (line.rstrip("\r\n") for line in sys.stdin)
    return [*(word for word in words if word != STDIN), *(line for line in lines if line.strip())]


def _of_running(release: str | None, where: Where) -> tuple[str, Arms]:
    with connect(where) as client:
        status = client.release(one_release(client, release))
    if status.sticky is None:
        raise _not_sticky(status.name)
    arms = [((arm.variant, str(arm.revision)), arm.weight_bp) for arm in status.sticky.arms]
    return status.sticky.salt, arms


def _of_files(
    files: Sequence[str], name: str | None, number: int | None, weight: float | None
) -> tuple[str, Arms]:
    from sluice import spec  # slow to import, and only these commands read files themselves

    documents = spec.load(files)
    found = [item for item in documents.releases if name in (None, item.name)]
    if len(found) != 1:
        known = ", ".join(item.name for item in documents.releases) or "none"
        raise WrongUsage(f"name one release with --release; the files hold {known}")
    if number is None:
        raise WrongUsage("say the pass with --pass N: each pass draws its users anew")
    plan = spec.to_plan(found[0], documents.policy_of(found[0]))
    if not plan.sticky_header and not plan.sticky_cookie:
        raise _not_sticky(plan.release)
    return salt_of(plan.release, number), planned_arms(plan, weight)


def planned_arms(plan: Plan, weight: float | None) -> Arms:
    """The arms that a plan sends users to.

    Args:
        plan: A sticky plan.
        weight: Candidate's share, percent, for a plan without an A/B test.

    Raises:
        WrongUsage: the weight is missing, or given although the test fixes it.
    """
    tests = [rung for stage in plan.stages for rung in stage.rungs if rung.goals is not None]
    if tests and isinstance(tests[0].weight, Fixed):
        if weight is not None:
            raise WrongUsage("leave out --weight: the A/B test of this release fixes it")
        shares = live_shares(tests[0], tests[0].weight.weight_bp)
    elif weight is None:
        raise WrongUsage("say the candidate's weight with --weight PERCENT: no A/B test fixes it")
    else:
        shares = ((CANDIDATE, round(weight * 100)),)
    rest = BP_TOTAL - sum(bp for _, bp in shares)
    return [*(((variant, ""), bp) for variant, bp in shares), ((STABLE, ""), rest)]


def _not_sticky(name: str) -> RefusedError:
    return RefusedError(
        f"release {name} is not sticky: each request is drawn anew. Name a header or a cookie in "
        "spec.traffic.sticky to keep users where they are"
    )


def _table(found: Sequence[Assigned]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("USER", "VARIANT", "REVISION", "PLACE"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "PLACE" else "left")
    for item in found:
        table.add_row(item.user, item.variant, item.revision, str(item.place_bp))
    return table

"""``sluice promote-to``: carry what was promoted here to the next environment."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from sluice.cli.exits import WrongUsage
from sluice.cli.options import OutputOption, Release, who
from sluice.cli.output import Output, emit, now_ms
from sluice.cli.program import hinted
from sluice.cli.promotion.asked import Asked
from sluice.cli.promotion.environments import Environment
from sluice.cli.where import Where, acting_on_clusters
from sluice.errors import StateError
from sluice.reports import document


@acting_on_clusters
def promote_to(
    environment: Annotated[
        Environment, typer.Argument(metavar="ENVIRONMENT", help="dev, staging or production.")
    ],
    release: Release = None,
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision",
            metavar="REV",
            help="The one that is meant.",
            show_default="the stable one",
        ),
    ] = None,
    here: Annotated[
        Environment | None,
        typer.Option(
            "--from",
            metavar="ENVIRONMENT",
            help="Where the release stands.",
            show_default="by label sluice.dev/environment, or the namespace's name",
        ),
    ] = None,
    to_context: Annotated[
        str | None,
        typer.Option(
            "--to-context",
            metavar="NAME",
            help="Context of the target's cluster.",
            show_default="the same",
        ),
    ] = None,
    to_namespace: Annotated[
        str | None,
        typer.Option(
            "--to-namespace",
            metavar="NAME",
            help="Namespace of the target.",
            show_default="taxi-dev becomes taxi-staging",
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", metavar="DIR", help="Write it into this kustomize overlay instead, for Git."
        ),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", metavar="FILE", help="Write the whole evidence as JSON."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="In spite of the order, or without passed checks; recorded."),
    ] = False,
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """Carry the promoted revision to the next environment, with the evidence for it.

    Images, the model (spec.model.digest and the variables that name it) and the evidence go; all
    else of the target stays as it is there. The target then releases it by its own strategy.
    """
    from sluice.cli.promotion.carrying import carry  # only clusters need their client

    if write is not None and (to_context or to_namespace):
        raise WrongUsage("--write changes files: leave out --to-context and --to-namespace")
    asked = Asked(
        there=environment,
        release=release,
        revision=revision,
        here=here,
        context=to_context,
        namespace=to_namespace,
        folder=write,
        force=force,
    )
    found, lines = asyncio.run(carry(where, asked, by=who(), at_ms=now_ms()))
    if evidence is not None:
        _write(evidence, found)
        lines = [*lines, f"the evidence is in {evidence}"]
    emit(output, {"evidence": found, "done": lines}, lambda _: Text(hinted("\n".join(lines))))


def _write(path: Path, value: Any) -> None:
    try:
        path.write_bytes(document.dump_json(value, indent=2) + b"\n")
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror or error}") from error

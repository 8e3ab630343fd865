"""Commands that act on a release: promote, pause, resume, abort, retry, undo, delete, and gates."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from sluice.cli.backend import connect
from sluice.cli.exits import WrongUsage
from sluice.cli.options import OutputOption, Release, one_release, who
from sluice.cli.output import Output, emit
from sluice.cli.program import hinted
from sluice.cli.where import Where, acting
from sluice.reports.canvas import Canvas
from sluice.reports.model import ReleaseStatus

Gate = Annotated[
    str | None,
    typer.Argument(
        metavar="[GATE]",
        help="Gate to answer; may be left out when exactly one is open.",
        show_default=False,
    ),
]


@acting
def promote(
    release: Release = None,
    full: Annotated[
        bool, typer.Option("--full", help="Make the candidate stable now, whatever is left.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="In spite of a freeze window, which is lifted for this pass."),
    ] = False,
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """Go on past the current step or gate; with --full, make the candidate stable now."""
    _act(where, release, "promote", {"full": full, "force": force}, output)


@acting
def pause(release: Release = None, output: OutputOption = Output.TABLE, *, where: Where) -> None:
    """Hold the weight where it is; a failing candidate is still turned back."""
    _act(where, release, "pause", {}, output)


@acting
def resume(release: Release = None, output: OutputOption = Output.TABLE, *, where: Where) -> None:
    """Go on after a pause, or after a hold at the deadline."""
    _act(where, release, "resume", {}, output)


@acting
def abort(release: Release = None, output: OutputOption = Output.TABLE, *, where: Where) -> None:
    """Give all traffic back to stable now; the candidate is kept for inspection."""
    _act(where, release, "abort", {}, output)


@acting
def retry(release: Release = None, output: OutputOption = Output.TABLE, *, where: Where) -> None:
    """Start a new pass for the candidate that was turned back."""
    _act(where, release, "retry", {}, output)


@acting
def undo(
    release: Release = None,
    to_revision: Annotated[
        str | None,
        typer.Option("--to-revision", metavar="REV", help="Go back to this revision."),
    ] = None,
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """Go back to the revision before: one routing change while it is warm, a new pass later."""
    body = {} if to_revision is None else {"to_revision": to_revision}
    _act(where, release, "undo", body, output)


@acting
def approve(
    release: Release = None,
    gate: Gate = None,
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """Answer a gate with yes, also in place of what is asked."""
    _answer(where, release, gate, "approve", {}, output)


@acting
def reject(
    release: Release = None,
    gate: Gate = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, in one line, for the record.")
    ] = "",
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """Answer a gate with no: all traffic goes back to stable now, as with abort."""
    _answer(where, release, gate, "reject", {"reason": " ".join(reason.split())}, output)


@acting
def delete(
    release: Annotated[
        str, typer.Argument(metavar="RELEASE", help="Name of the release.", show_default=False)
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """Stop and forget a release: traffic goes first, then its replicas are drained."""
    with connect(where) as client:
        client.release(release)
    if not yes:
        if not sys.stdin.isatty():
            raise WrongUsage(f"delete of {release} needs --yes when nobody can be asked")
        typer.confirm(f"Stop all replicas of {release} and forget it?", abort=True, err=True)
    with connect(where) as client:
        message, status = client.delete(release, by=who())
    _emit(output, message, status)


def _answer(
    where: Where,
    release: str | None,
    gate: str | None,
    verb: str,
    body: Mapping[str, Any],
    output: Output,
) -> None:
    with connect(where) as client:
        name = one_release(client, release)
        wanted = gate or _open_gate(client.release(name))
    _act(where, name, verb, {**body, "gate": wanted}, output)


def _open_gate(status: ReleaseStatus) -> str:
    names = [gate.name for gate in status.gates]
    if not names:
        raise WrongUsage(f"{status.name} does not wait at a gate: name the one that is meant")
    if len(names) > 1:
        raise WrongUsage(f"{status.name} waits at several gates: name one of {', '.join(names)}")
    return names[0]


def _act(
    where: Where, release: str | None, verb: str, body: Mapping[str, Any], output: Output
) -> None:
    with connect(where) as client:
        name = one_release(client, release)
        message, status = client.verb(name, verb, {**body, "by": who()})
    _emit(output, message, status)


def _emit(output: Output, message: str, status: ReleaseStatus) -> None:
    emit(output, {"message": message, "status": status}, lambda _: _said(message, status, _))


def _said(message: str, status: ReleaseStatus, canvas: Canvas) -> Text:
    text = Text(hinted(f"{status.name}: {message}"))
    if status.next:
        text.append(hinted(f"\nnext: {status.next}"), style="dim")
    return text

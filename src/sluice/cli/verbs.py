"""Commands that act on a release: promote, pause, resume, abort, retry, undo, approve, delete."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from sluice.cli.client import Client
from sluice.cli.exits import WrongUsage
from sluice.cli.options import DEFAULT_FOLDER, Folder, OutputOption, Release, one_release, who
from sluice.cli.output import Output, emit
from sluice.reports.canvas import Canvas
from sluice.reports.model import ReleaseStatus

GATE = "gate "
"""A step that waits for a gate is named by it: ``gate approve``."""


def promote(
    release: Release = None,
    full: Annotated[
        bool, typer.Option("--full", help="Make the candidate stable now, whatever is left.")
    ] = False,
    output: OutputOption = Output.TABLE,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Go on past the current step or gate; with --full, make the candidate stable now."""
    _act(folder, release, "promote", {"full": full}, output)


def pause(
    release: Release = None, output: OutputOption = Output.TABLE, folder: Folder = DEFAULT_FOLDER
) -> None:
    """Hold the weight where it is; a failing candidate is still turned back."""
    _act(folder, release, "pause", {}, output)


def resume(
    release: Release = None, output: OutputOption = Output.TABLE, folder: Folder = DEFAULT_FOLDER
) -> None:
    """Go on after a pause, or after a hold at the deadline."""
    _act(folder, release, "resume", {}, output)


def abort(
    release: Release = None, output: OutputOption = Output.TABLE, folder: Folder = DEFAULT_FOLDER
) -> None:
    """Give all traffic back to stable now; the candidate is kept for inspection."""
    _act(folder, release, "abort", {}, output)


def retry(
    release: Release = None, output: OutputOption = Output.TABLE, folder: Folder = DEFAULT_FOLDER
) -> None:
    """Start a new pass for the candidate that was turned back."""
    _act(folder, release, "retry", {}, output)


def undo(
    release: Release = None,
    to_revision: Annotated[
        str | None,
        typer.Option("--to-revision", metavar="REV", help="Go back to this revision."),
    ] = None,
    output: OutputOption = Output.TABLE,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Go back to the revision before: one routing change while it is warm, a new pass later."""
    body = {} if to_revision is None else {"to_revision": to_revision}
    _act(folder, release, "undo", body, output)


def approve(
    release: Release = None,
    gate: Annotated[
        str | None,
        typer.Option(
            "--gate", metavar="NAME", help="Gate to answer.", show_default="the one it waits at"
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Answer a gate with yes."""
    with Client(folder) as client:
        name = one_release(client, release)
        wanted = gate or _gate_of(client.release(name))
    _act(folder, name, "approve", {"gate": wanted}, output)


def delete(
    release: Annotated[
        str, typer.Argument(metavar="RELEASE", help="Name of the release.", show_default=False)
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: OutputOption = Output.TABLE,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Stop and forget a release: its replicas are drained, its history stays on disk."""
    with Client(folder) as client:
        client.release(release)
    if not yes:
        if not sys.stdin.isatty():
            raise WrongUsage(f"delete of {release} needs --yes when nobody can be asked")
        typer.confirm(f"Stop all replicas of {release} and forget it?", abort=True, err=True)
    _act(folder, release, "delete", {}, output)


def _gate_of(status: ReleaseStatus) -> str:
    for rung in status.rungs:
        if rung.state == "active" and rung.name.startswith(GATE):
            return rung.name.removeprefix(GATE)
    raise WrongUsage(f"{status.name} does not wait at a gate: name one with --gate")


def _act(
    folder: Folder, release: str | None, verb: str, body: Mapping[str, Any], output: Output
) -> None:
    with Client(folder) as client:
        name = one_release(client, release)
        message, status = client.verb(name, verb, {**body, "by": who()})
    emit(output, {"message": message, "status": status}, lambda _: _said(message, status, _))


def _said(message: str, status: ReleaseStatus, canvas: Canvas) -> Text:
    text = Text(f"{status.name}: {message}")
    if status.next:
        text.append(f"\nnext: {status.next}", style="dim")
    return text

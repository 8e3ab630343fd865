"""Options that many commands share: each has one spelling, one meaning, one help text."""

import getpass
import os
from typing import Annotated

import typer

from sluice.cli.backend import Backend, connect
from sluice.cli.exits import WrongUsage
from sluice.cli.output import Output
from sluice.cli.where import where_of
from sluice.errors import SluiceError, UnknownRelease


def seconds(text: str) -> float:
    """Read a duration such as ``90s``, ``30m`` or ``1h30m``.

    Raises:
        WrongUsage: it is none.
    """
    from sluice.spec import parse_duration  # a third of the start-up time, for few commands

    try:
        return parse_duration(text) / 1_000
    except ValueError as error:
        raise WrongUsage(str(error)) from error


def _complete_release(ctx: typer.Context, incomplete: str) -> list[str]:
    # completion must never print or fail: a shell would show it in the middle of a line
    try:
        with connect(where_of(ctx), timeout_s=1.0) as client:
            names = [status.name for status in client.releases()]
    except SluiceError:
        return []
    return [name for name in names if name.startswith(incomplete)]


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="Form of the answer: a drawing, or the document.")
]
Release = Annotated[
    str | None,
    typer.Argument(
        metavar="[RELEASE]",
        help="Name of the release; may be left out when there is exactly one.",
        show_default=False,
        autocompletion=_complete_release,
    ),
]


def one_release(client: Backend, name: str | None) -> str:
    """The release that is meant.

    Raises:
        UnknownRelease: there is none.
        WrongUsage: there are several and none was named.
    """
    if name is not None:
        return name
    names = [status.name for status in client.releases()]
    if not names:
        raise UnknownRelease("there is no release yet: make one with `sluice deploy -f FILE`")
    if len(names) > 1:
        raise WrongUsage(f"there are several releases: name one of {', '.join(sorted(names))}")
    return names[0]


def who() -> str:
    """Who asks, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"

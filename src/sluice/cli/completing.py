"""``kubectl_complete-sluice``: what kubectl asks after Tab behind ``kubectl sluice``.

kubectl gives the words, the last one unfinished, and expects a value a line and then a directive:
https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins (command completion of plugins).
"""

import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from io import StringIO

import typer

from sluice.cli.main import COMPLETE, build
from sluice.cli.program import PLUGIN
from sluice.cli.where import Where

ONLY_THESE, FILES_TOO = ":4", ":0"
"""Directives of cobra, the library that kubectl is built with."""


def completions(words: Sequence[str]) -> list[str]:
    """What may stand in the place of the last word.

    Args:
        words: After ``kubectl sluice``; the last one is unfinished and may be empty.
    """
    asked = {
        COMPLETE: "complete_bash",
        "COMP_WORDS": shlex.join(["sluice", *words]),
        "COMP_CWORD": str(len(words)),
    }
    os.environ.update(asked)
    said = StringIO()
    try:
        with redirect_stdout(said), suppress(SystemExit):
            typer.main.get_command(build()).main(
                args=[],
                prog_name="sluice",
                complete_var=COMPLETE,
                obj=Where(program=PLUGIN, cluster=True),
            )
    finally:
        for name in asked:
            os.environ.pop(name, None)
    return said.getvalue().split()


def main() -> None:
    """Entry point."""
    found = completions(sys.argv[1:] or [""])
    sys.stdout.write("\n".join([*found, ONLY_THESE if found else FILES_TOO]) + "\n")

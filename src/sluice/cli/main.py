"""The ``sluice`` command: every verb, and the one place where errors become words and codes."""

import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import typer
from typer.exceptions import TyperException

from sluice.cli import assign, deploy, drift, look, offline, service, slo, slofile, verbs
from sluice.cli.exits import ExitCode, code_of
from sluice.cli.output import warn
from sluice.cli.program import PLUGIN, SLUICE, hinted, name_program
from sluice.cli.promotion import command as promotion
from sluice.cli.where import Where, options
from sluice.errors import SluiceError, SpecError

COMPLETE = "_SLUICE_COMPLETE"
"""Set by the script of shell completion: what it asks."""
DEBUG = "SLUICE_DEBUG"
"""Set to anything: errors of ours come with their traceback."""

START, ACT, LOOK, BEFORE = "Start and stop", "Act on a release", "Look", "Before anything runs"

COMMANDS: tuple[tuple[str, Callable[..., object], str], ...] = (
    (START, service.up, "sluice up --port 8080"),
    (START, service.down, "sluice down"),
    (START, service.version, "sluice version -o json"),
    (ACT, deploy.deploy, "sluice deploy -f release.yaml -f policy.yaml --wait --timeout 30m"),
    (ACT, verbs.promote, "sluice promote taxi --full"),
    (ACT, verbs.pause, "sluice pause taxi"),
    (ACT, verbs.resume, "sluice resume taxi"),
    (ACT, verbs.abort, "sluice abort taxi"),
    (ACT, verbs.retry, "sluice retry taxi"),
    (ACT, verbs.undo, "sluice undo taxi --to-revision 7f3a9c21d0"),
    (ACT, verbs.approve, "sluice approve taxi business-hours"),
    (ACT, verbs.reject, "sluice reject taxi business-hours --reason 'fares look wrong'"),
    (ACT, verbs.delete, "sluice delete taxi --yes"),
    (ACT, promotion.promote_to, "sluice promote-to staging taxi -n taxi-dev"),
    (LOOK, look.status, "sluice status taxi --watch"),
    (LOOK, look.explain, "sluice explain taxi --pass 3 --html pass-3.html"),
    (LOOK, look.history, "sluice history taxi -o json"),
    (LOOK, look.logs, "sluice logs taxi --follow --revision 7f3a9c21d0"),
    (LOOK, assign.assign, "sluice assign anna berta --release taxi"),
    (LOOK, drift.drift, "sluice drift --bundle models/taxi-2 --log predictions.jsonl"),
    (BEFORE, offline.plan, "sluice plan -f release.yaml --rps 200"),
    (BEFORE, offline.lint, "sluice lint -f release.yaml -f policy.yaml --strict"),
    (
        BEFORE,
        offline.simulate,
        "sluice simulate -f release.yaml --rps 50 --stable 0.005 --candidate 0.05",
    ),
)
"""Help panel, function and example of every verb, in the order of the help."""

GROUPS: tuple[tuple[str, str, str, tuple[tuple[Callable[..., object], str], ...]], ...] = (
    (
        BEFORE,
        "slo",
        "One SLO file for checks, load tests and alerts.",
        (
            (slo.check, "sluice slo check run.json --slo slo.yaml --html report.html"),
            (slofile.validate, "sluice slo validate -f slo.yaml"),
            (slofile.export, "sluice slo export -f slo.yaml --to prometheusrule"),
            (
                slofile.init,
                "sluice slo init --name taxi --rps 50 --latency 99:300 --availability 99.9 "
                "--callers people --changes 24h",
            ),
        ),
    ),
)
"""Help panel, name, meaning and verbs (function and example) of every group of verbs."""


def verb_of(function: Callable[..., object]) -> str:
    """The word that a function is called by."""
    return function.__name__.replace("_", "-")


EXAMPLES = {verb_of(function): example for _, function, example in COMMANDS}

FIRST_STEPS = {
    SLUICE: "`sluice up`, `sluice deploy -f release.yaml`, `sluice status --watch`",
    PLUGIN: "`make install`, `sluice deploy -f release.yaml`, `sluice status --watch`",
}
ONLY_HERE = ("up", "down")
"""Verbs that a cluster answers only with what to do instead: not in the plugin's list."""


def build(program: str = SLUICE) -> typer.Typer:
    """The whole command.

    Args:
        program: ``sluice``, or ``kubectl sluice``, which acts on the cluster.
    """
    name_program(program)
    app = typer.Typer(
        name=program,
        help=(
            "Release new versions of a model API step by step, and turn back the bad ones.\n\n"
            f"First steps: {hinted(FIRST_STEPS[program])}."
        ),
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        add_completion=program == SLUICE,  # kubectl completes its plugins: completing.py
        rich_markup_mode="markdown",
    )
    app.callback()(options)
    for panel, function, example in COMMANDS:
        app.command(
            rich_help_panel=panel,
            epilog=hinted(f"Example: `{example}`"),
            hidden=program == PLUGIN and function.__name__ in ONLY_HERE,
        )(function)
    for panel, name, about, members in GROUPS:
        group = typer.Typer(name=name, help=about, no_args_is_help=True)
        for function, example in members:
            group.command(epilog=hinted(f"Example: `{example}`"))(function)
        app.add_typer(group, rich_help_panel=panel)
    return app


def run(arguments: Sequence[str], program: str = SLUICE) -> int:
    """Run one command.

    Args:
        arguments: Words after the program's name; none: the help.
        program: ``sluice``, or ``kubectl sluice``, which acts on the cluster.

    Returns:
        Exit code, see ``ExitCode``.
    """
    name_program(program)
    try:
        code = _command(program).main(
            args=list(arguments) or ["--help"],
            prog_name=program,
            complete_var=COMPLETE,
            standalone_mode=False,
            obj=Where(program=program, cluster=program == PLUGIN),
        )
    except TyperException as error:
        warn(f"{program}: {error.format_message()}")
        warn(f"see `{' '.join([program, *_verb(arguments), '--help'])}`")
        return ExitCode.USAGE
    except typer.Abort:
        warn(f"{program}: stopped; nothing was done")
        return ExitCode.INTERRUPTED
    except SluiceError as error:
        if os.environ.get(DEBUG):
            raise
        warn(f"{program}: {_said(error)}")
        return code_of(error)
    except BrokenPipeError:
        # the reader (`| head`) has seen enough; a second complaint at exit is prevented
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as error:  # a bug of ours still ends in one clear line
        if os.environ.get(DEBUG):
            raise
        warn(f"{program}: a bug of sluice: {type(error).__name__}: {error}")
        warn(f"please report it with the output of the same command with {DEBUG}=1")
        return ExitCode.NOT_MEASURED
    return code if isinstance(code, int) else ExitCode.DONE


@cache
def _command(program: str) -> Any:
    # typer's own type for it is private
    return typer.main.get_command(build(program))


def _verb(arguments: Sequence[str]) -> list[str]:
    groups = {name: verbs for _, name, _, verbs in GROUPS}
    if arguments and arguments[0] in groups:
        verbs = [function.__name__ for function, _ in groups[arguments[0]]]
        return [arguments[0], *(word for word in arguments[1:2] if word in verbs)]
    return [word for word in arguments[:1] if word in EXAMPLES]


def _said(error: SluiceError) -> str:
    if isinstance(error, SpecError):
        count = len(error.faults)
        faults = "1 fault" if count == 1 else f"{count} faults"
        return "\n".join([f"{faults}; nothing was applied", *(f"  {f}" for f in error.faults)])
    return str(error)


def main() -> None:
    """Entry point of the ``sluice`` script."""
    sys.exit(run(sys.argv[1:]))


def plugin() -> None:
    """Entry point of ``kubectl-sluice``, which kubectl runs as ``kubectl sluice``."""
    sys.exit(run(sys.argv[1:], PLUGIN))

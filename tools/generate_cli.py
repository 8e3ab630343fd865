"""The reference page of the CLI, from the commands themselves."""

from typing import Any

import typer

from sluice.cli.exits import ExitCode
from sluice.cli.main import COMMANDS, EXAMPLES, GROUPS, build, verb_of
from sluice.cli.where import PANEL

_HEAD = """\
# The command line

<!-- written by `make update` from the commands themselves; do not edit -->

`sluice` acts on the releases of one state folder on this machine: `--dir`, or `SLUICE_DIR`, by
default `.sluice` in the current folder. With `--context` or `--namespace`, before or after the
verb, it acts on a cluster; `kubectl sluice` is the same command and always does. A release may be
named (`taxi`, in a cluster also `namespace/taxi`) or, when there is exactly one, left out. Every
answer comes as a drawing for people (`-o table`) or as the one document that the supervisor itself
serves (`-o json`, `-o yaml`). Errors are one clear line on stderr: what, where, what to do.
`SLUICE_DEBUG=1` adds the traceback.

Shell completion, release names included: `sluice --install-completion`; kubectl completes
`kubectl sluice` by itself once its own completion is set up.
"""


def page() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(build())
    place = _where(group.commands["status"])
    parts = [_HEAD, "## Exit codes\n", _exit_codes(), "## Where it acts\n", place, _overview()]
    panel = ""
    for title, function, _ in COMMANDS:
        if title != panel:
            parts.append(f"## {title}\n")
            panel = title
        name = verb_of(function)
        parts.append(_command(name, group.commands[name], EXAMPLES[name]))
    for _, name, about, verbs in GROUPS:
        parts.append(f"## {name}\n\n{about}\n")
        for function, example in verbs:
            verb = group.commands[name].commands[function.__name__]
            parts.append(_command(f"{name} {function.__name__}", verb, example))
    return "\n".join(parts)


def _exit_codes() -> str:
    rows = ["| code | meaning |", "|---|---|"]
    rows += [f"| {code.value} | {_EXITS[code]} |" for code in ExitCode]
    return "\n".join(rows) + "\n"


_EXITS = {
    ExitCode.DONE: "promoted, passed, or simply done",
    ExitCode.FAILED: "the candidate was turned back, or the verb was refused",
    ExitCode.UNDECIDED: "held at the deadline: the checks could not decide",
    ExitCode.NOT_MEASURED: (
        "held because the measurement cannot be trusted or could not be made; also a supervisor "
        "that cannot do it now, and a bug of ours: never to be read as turned back"
    ),
    ExitCode.USAGE: "wrong words on the command line, or a file that cannot be used",
    ExitCode.NOTHING_THERE: "nothing is running, no such release, or a state folder out of reach",
    ExitCode.TIME_OUT: "`--timeout` was over first; what was begun goes on",
    ExitCode.INTERRUPTED: "Ctrl-C; what was begun goes on",
}


def _where(command: Any) -> str:
    rows = [_option(param) for param in command.params if _is_where(param)]
    lines = ["| option | meaning | default |", "|---|---|---|", *rows]
    return "\n".join([*lines, "", "Every verb that acts on releases or looks at them has these.\n"])


def _is_where(param: Any) -> bool:
    return getattr(param, "rich_help_panel", None) == PANEL


def _overview() -> str:
    rows = ["| command | what it does |", "|---|---|"]
    for _, function, _ in COMMANDS:
        first = (function.__doc__ or "").strip().splitlines()[0]
        rows.append(f"| [`{verb_of(function)}`](#{verb_of(function)}) | {first} |")
    for _, name, about, _ in GROUPS:
        rows.append(f"| [`{name}`](#{name}) | {about} |")
    return "\n".join(rows) + "\n"


def _command(name: str, command: Any, example: str) -> str:
    words = [param for param in command.params if param.param_type_name == "argument"]
    usage = " ".join(["sluice", name, *(param.metavar for param in words), "[OPTIONS]"])
    about = "\n".join(line.strip() for line in (command.help or "").splitlines())
    lines = [f"### {name}\n", f"{about}\n", f"```\n{usage}\n```\n"]
    rows = [
        _option(param) for param in command.params if param.name != "help" and not _is_where(param)
    ]
    if rows:
        lines += ["| option | meaning | default |", "|---|---|---|", *rows, ""]
    lines.append(f"Example: `{example}`\n")
    return "\n".join(lines)


def _option(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"| `{param.metavar.strip('[]')}` | {param.help} | |"
    names = ", ".join(f"`{name}`" for name in sorted(param.opts, key=len))
    value = f" `{param.metavar}`" if param.metavar else ""
    again = " May be given several times." if param.multiple else ""
    return f"| {names}{value} | {param.help}{again} | {_default(param)} |"


def _default(param: Any) -> str:
    if param.required:
        return "required"
    if isinstance(param.show_default, str):
        return param.show_default
    if param.default in (None, False, ""):
        return ""
    default = getattr(param.default, "value", param.default)
    return f"`{default}`"

"""``sluice deploy``: hand the files over, and with ``--wait`` end as the release ends."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from sluice.cli.backend import connect
from sluice.cli.exits import ExitCode, TimeOut, WrongUsage
from sluice.cli.files import read_files
from sluice.cli.options import OutputOption, seconds, who
from sluice.cli.output import Output, emit, say, warn
from sluice.cli.wait import Target, wait_for
from sluice.cli.where import Where, acting
from sluice.nouns import RevisionId
from sluice.reports.model import ReleaseStatus

PATIENCE_S = 10.0
"""Without --wait: how long a cluster's controller has to say which revision it made of a file."""


@acting
def deploy(
    files: Annotated[
        list[str],
        typer.Option(
            "--file", "-f", metavar="FILE", help="YAML with releases, policies, SLOs; - is stdin."
        ),
    ],
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until the release has ended, and end like it.")
    ] = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="With --wait: the longest wait.")
    ] = "30m",
    report: Annotated[
        Path | None,
        typer.Option("--junit", metavar="FILE", help="With --wait: write the end as JUnit XML."),
    ] = None,
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> int:
    """Apply releases, policies and SLOs: all of them or, when one has a fault, none.

    A new revision starts a pass through its strategy. With --wait the exit code tells its end: 0
    promoted, 1 aborted, 2 held at the deadline, 3 could not be measured, 124 time-out.
    """
    timeout_s = seconds(timeout)
    if report is not None and not wait:
        raise WrongUsage("--junit needs --wait: there is nothing to report before the end")
    texts = read_files(files)
    with connect(where) as client:
        before = client.standing(texts)
        patience_s = timeout_s if wait else PATIENCE_S
        answer = client.apply(texts, by=who(), patience_s=patience_s)
        for notice in answer.get("notices") or ():
            warn(f"notice: {notice}")
        if not wait:
            emit(output, answer, lambda _: Text(_applied(answer)))
            return ExitCode.DONE
        _all_known(answer, timeout)
        targets = _targets(answer, before)
        if not targets:
            raise WrongUsage("--wait has nothing to wait for: the files hold no release")
        if output is Output.TABLE:
            say(_applied(answer))
        waited = wait_for(client, targets, timeout_s=timeout_s, output=output)
        if report is not None:
            waited.write_junit(client, report)
    document = {**answer, "releases": waited.statuses, "ends": waited.ends, "exitCode": waited.code}
    emit(output, document, waited.view)
    return waited.code


def _all_known(answer: Mapping[str, Any], timeout: str) -> None:
    for entry in answer.get("applied") or ():
        if entry.get("kind") == "Release" and not entry.get("revision"):
            raise TimeOut(f"nobody has taken up {entry['name']} within {timeout}; it stays applied")


def _targets(answer: Mapping[str, Any], before: Mapping[str, ReleaseStatus]) -> tuple[Target, ...]:
    return tuple(
        Target(
            name=str(entry["name"]),
            revision=RevisionId(str(entry["revision"])),
            before=before.get(str(entry["name"])),
        )
        for entry in answer.get("applied") or ()
        if entry.get("kind") == "Release" and entry.get("revision")
    )


def _applied(answer: Mapping[str, Any]) -> str:
    lines = []
    for entry in answer.get("applied") or ():
        what = f"{entry['kind']} {entry['name']}"
        if entry.get("revision"):
            what += f", revision {entry['revision']}"
        lines.append(f"{what}: {'applied' if entry.get('changed') else 'unchanged'}")
    return "\n".join(lines) or "nothing to apply"

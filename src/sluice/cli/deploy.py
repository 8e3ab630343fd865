"""``sluice deploy``: hand the files over, and with ``--wait`` end as the release ends."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from sluice.cli.client import Client
from sluice.cli.exits import ExitCode, WrongUsage
from sluice.cli.files import read_files
from sluice.cli.options import DEFAULT_FOLDER, Folder, OutputOption, seconds, who
from sluice.cli.output import Output, emit, say, warn
from sluice.cli.wait import Target, wait_for
from sluice.nouns import RevisionId
from sluice.reports.model import ReleaseStatus


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
    folder: Folder = DEFAULT_FOLDER,
) -> int:
    """Apply releases, policies and SLOs: all of them or, when one has a fault, none.

    A new revision starts a pass through its strategy. With --wait the exit code tells its end: 0
    promoted, 1 aborted, 2 held at the deadline, 3 could not be measured, 124 time-out.
    """
    timeout_s = seconds(timeout)
    if report is not None and not wait:
        raise WrongUsage("--junit needs --wait: there is nothing to report before the end")
    texts = read_files(files)
    with Client(folder) as client:
        before = {status.name: status for status in client.releases()}
        answer = client.apply(texts, by=who())
        for notice in answer.get("notices") or ():
            warn(f"notice: {notice}")
        if not wait:
            emit(output, answer, lambda _: Text(_applied(answer)))
            return ExitCode.DONE
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

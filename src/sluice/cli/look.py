"""Commands that only look: status, explain, history, logs."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sluice.cli.backend import Backend, connect
from sluice.cli.exits import ExitCode, WrongUsage
from sluice.cli.options import OutputOption, Release, one_release
from sluice.cli.output import Output, emit, say
from sluice.cli.replayed import replay_view
from sluice.cli.watch import LineShow, LiveShow, Statuses, follow, is_live, view
from sluice.cli.where import Where, acting
from sluice.errors import StateError, UnknownRelease
from sluice.reports import document
from sluice.reports.explain import explain_view, history_view
from sluice.reports.html import release_report
from sluice.reports.model import ReleaseStatus
from sluice.reports.passes import Pass, passes
from sluice.reports.traffic import Poll, traffic_of
from sluice.runtime.replay import replay


@acting
def status(
    release: Release = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep looking until Ctrl-C; a live view.")
    ] = False,
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="On a cluster: of every namespace.")
    ] = False,
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """Show how releases are: weights, counts, evidence, what happens next and why.

    Without a name: the table of all releases, or the one release in full. As a document: with a
    name one object, without one always a list.
    """
    if everywhere:
        where = where.every_namespace()
    with connect(where) as client:
        if watch:
            _watch(client, release, output)
            return
        if release is not None:
            found = client.release(release)
            emit(output, found, lambda place: view((found,), place))
            return
        statuses = client.releases()
    if not statuses and output is Output.TABLE:
        say("no release yet: make one with `sluice deploy -f FILE`")
        return
    emit(output, statuses, lambda place: view(statuses, place))


def _watch(client: Backend, release: str | None, output: Output) -> None:
    if output is not Output.TABLE:
        raise WrongUsage("--watch draws: leave out --output, or poll `sluice status -o json`")

    def fetch() -> Statuses:
        return (client.release(release),) if release else client.releases()

    try:
        if is_live():
            with LiveShow() as show:
                follow(fetch, show, poll_s=client.poll_s)
        else:
            follow(fetch, LineShow(say, keeper=client.keeper), poll_s=client.poll_s)
    except KeyboardInterrupt:
        return


@acting
def explain(
    release: Release = None,
    number: Annotated[
        int | None,
        typer.Option("--pass", metavar="N", help="Explain this pass.", show_default="the newest"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Explain every pass.")] = False,
    page: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the pass as a page with its charts."),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--replay", help="Judge the pass again from what was kept; exit 1 on a difference."
        ),
    ] = False,
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """Explain every decision of a pass: value, interval, n, rule, e-value, and what it cost."""
    if again and (everything or page is not None):
        raise WrongUsage("--replay judges one pass: leave out --all and --html")
    if number is not None and everything:
        raise WrongUsage("--pass and --all exclude each other")
    if page is not None and (everything or output is not Output.TABLE):
        raise WrongUsage("--html writes one pass as a page: leave out --all and --output")
    with connect(where) as client:
        name = one_release(client, release)
        decisions = client.history(name)
        now = client.release(name)
        polls = client.polls(name) if page is not None else ()
    found = passes(decisions)
    if number is not None:
        shown = tuple(entry for entry in found if entry.number == number)
        if not shown:
            known = ", ".join(str(entry.number) for entry in found) or "none"
            raise UnknownRelease(f"{name} has no pass {number}; it has: {known}")
    else:
        shown = found if everything else found[-1:]
    if page is not None:
        _write_page(page, now, shown, polls)
        return
    if again:
        if not shown:
            raise UnknownRelease(f"{name}: nothing was decided yet, there is no pass to judge")
        with connect(where) as client:
            kept, unkept = client.kept(name, shown[-1].number), client.unkept
        judged = replay(shown[-1].number, kept, shown[-1].decisions)
        if unkept and judged.source != "polls":
            judged = replace(judged, gap=unkept)
        emit(output, judged, lambda place: replay_view(name, judged, place))
        if not judged.holds:
            raise typer.Exit(ExitCode.FAILED)
        return
    emit(output, shown, lambda place: explain_view(name, shown, place, status=now))
    if output is Output.TABLE and len(found) > len(shown):
        say(f"\n{len(found) - len(shown)} more passes: --all, or --pass N")


def _write_page(
    path: Path, status: ReleaseStatus, shown: Sequence[Pass], polls: Sequence[Poll]
) -> None:
    if not shown:
        raise UnknownRelease(f"{status.name}: nothing was decided yet, there is no page to write")
    journey = shown[-1]
    kept = [poll for poll in polls if poll.pass_number == journey.number]
    verdicts = [poll.verdict for poll in kept]
    text = release_report(status, journey.decisions, traffic_of(kept), verdicts=verdicts)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror or error}") from error
    say(f"wrote pass {journey.number} of {status.name} to {path}")


@acting
def history(
    release: Release = None,
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """List every pass and decision of a release, oldest first, one line each."""
    with connect(where) as client:
        name = one_release(client, release)
        decisions = client.history(name)
        now = client.release(name)
    emit(output, decisions, lambda place: history_view(decisions, place, status=now))


@acting
def logs(
    release: Release = None,
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision", "-r", metavar="REV", help="Only this revision.", show_default="all"
        ),
    ] = None,
    tail: Annotated[
        int, typer.Option("--tail", min=0, metavar="N", help="Newest lines of each replica.")
    ] = 100,
    follow_: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep printing new lines until Ctrl-C.")
    ] = False,
    output: OutputOption = Output.TABLE,
    *,
    where: Where,
) -> None:
    """Print what the replicas of a release write, each line after its replica's name."""
    if follow_ and output is Output.YAML:
        raise WrongUsage("--follow prints lines: use table, or json for one object a line")
    with connect(where) as client:
        name = one_release(client, release)
        lines, cursor = client.logs(name, revision=revision, tail=tail)
        if not follow_:
            if output is Output.TABLE:
                _stream(lines, output)
                return
            answer = {"lines": [{"replica": replica, "line": line} for replica, line in lines]}
            emit(output, answer, lambda _: "")
            return
        try:
            _stream(lines, output)
            while True:
                time.sleep(client.poll_s)
                lines, cursor = client.logs(name, revision=revision, tail=tail, since=cursor)
                _stream(lines, output)
        except KeyboardInterrupt:
            return


def _stream(lines: list[tuple[str, str]], output: Output) -> None:
    for replica, line in lines:
        if output is Output.JSON:
            say(document.dump_json({"replica": replica, "line": line}).decode())
        else:
            say(f"{replica} | {line}")

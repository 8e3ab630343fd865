"""Waiting for releases to end, and what is said and written of the end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from sluice.cli.backend import Backend
from sluice.cli.exits import SEVERITY, ExitCode, TimeOut, end_of
from sluice.cli.output import Output, say, warn
from sluice.cli.program import hinted
from sluice.cli.watch import LineShow, LiveShow, Show, Statuses, follow, is_live
from sluice.errors import StateError
from sluice.nouns import RevisionId
from sluice.reports import words
from sluice.reports.canvas import Canvas
from sluice.reports.junit import JUnitCase, junit
from sluice.reports.model import ReleaseStatus
from sluice.reports.passes import passes

RESULT = {
    ExitCode.DONE: "promoted",
    ExitCode.FAILED: "aborted",
    ExitCode.UNDECIDED: "held",
    ExitCode.NOT_MEASURED: "not-measured",
    ExitCode.TIME_OUT: "time-out",
}
_SAID = {
    ExitCode.DONE: ("promoted", "bold green"),
    ExitCode.FAILED: ("turned back", "bold red"),
    ExitCode.UNDECIDED: ("held: undecided at the deadline", "bold yellow"),
    ExitCode.NOT_MEASURED: ("held: could not be measured", "bold yellow"),
    ExitCode.TIME_OUT: ("still on its way when the time was over", "bold yellow"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A release that was deployed, and how it was before."""

    name: str
    revision: RevisionId
    before: ReleaseStatus | None

    def end(self, statuses: Statuses) -> ExitCode | None:
        """How it ended, if it has."""
        return end_of(self.of(statuses), self.revision, before=self.before)

    def of(self, statuses: Statuses) -> ReleaseStatus:
        """Its status among those of all targets."""
        return next(status for status in statuses if status.name == self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """How the targets ended, or stood when time was over."""

    targets: tuple[Target, ...]
    statuses: Statuses
    codes: tuple[ExitCode, ...]
    seconds: float

    @property
    def code(self) -> int:
        """The worst end is the command's."""
        return int(max(self.codes, key=SEVERITY.index))

    @property
    def ends(self) -> dict[str, str]:
        """End of each release in one word."""
        return {t.name: RESULT[code] for t, code in zip(self.targets, self.codes, strict=True)}

    def view(self, canvas: Canvas) -> Text:
        """The end in a line or two per release."""
        lines: list[Text] = []
        for target, code in zip(self.targets, self.codes, strict=True):
            status = target.of(self.statuses)
            said, style = _SAID[code]
            line = Text(f"{target.name} {words.revision_name(target.revision, status)}: ")
            line.append(said, style=style)
            line.append(f" after {words.duration(self.seconds * 1_000)}")
            if code is not ExitCode.DONE and status.message:
                line.append(f": {status.message}")
            lines.append(line)
            if status.verdict is not None:
                judged = words.count(status.verdict.requests)
                harmed = words.count(status.verdict.harmed)
                text = f"{judged} candidate requests judged, {harmed} harmed"
                lines.append(
                    Text(hinted(f"{text}; every decision: `sluice explain {target.name}`"))
                )
        return Text("\n").join(lines)

    def write_junit(self, client: Backend, path: Path) -> None:
        """Write the ends as JUnit XML.

        Raises:
            StateError: the file cannot be written.
        """
        cases = [
            self._case(client, target, code)
            for target, code in zip(self.targets, self.codes, strict=True)
        ]
        try:
            path.write_text(junit(cases), encoding="utf-8")
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror or error}") from error

    def _case(self, client: Backend, target: Target, code: ExitCode) -> JUnitCase:
        status = target.of(self.statuses)
        journeys = [
            journey
            for journey in passes(client.history(target.name))
            if journey.revision == target.revision
        ]
        return JUnitCase(
            release=target.name,
            revision=words.revision_name(target.revision, status),
            result=RESULT[code],
            message=f"{status.reason}: {status.message}" if status.message else status.reason,
            seconds=self.seconds,
            journey=journeys[-1] if journeys else None,
        )


def wait_for(
    client: Backend, targets: Sequence[Target], *, timeout_s: float, output: Output
) -> Waited:
    """Follow the releases until all have ended or time is over."""
    began = time.monotonic()
    latest: Statuses = ()

    def fetch() -> Statuses:
        nonlocal latest
        latest = client.some([target.name for target in targets])
        return latest

    def over(statuses: Statuses) -> bool:
        return all(target.end(statuses) is not None for target in targets)

    def run(show: Show) -> None:
        try:
            follow(fetch, show, over=over, timeout_s=timeout_s, poll_s=client.poll_s)
        except TimeOut:
            return

    try:
        if output is Output.TABLE and is_live():
            with LiveShow() as live:
                run(live)
        else:
            known = [target.before for target in targets if target.before is not None]
            write = say if output is Output.TABLE else warn
            run(LineShow(write, known=known, keeper=client.keeper))
    except KeyboardInterrupt:
        warn("stopped waiting; the release goes on: `sluice status --watch`, or `sluice abort`")
        raise
    return Waited(
        targets=tuple(targets),
        statuses=latest,
        codes=tuple(
            ExitCode.TIME_OUT if (code := target.end(latest)) is None else code
            for target in targets
        ),
        seconds=time.monotonic() - began,
    )

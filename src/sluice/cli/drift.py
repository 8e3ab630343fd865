"""``sluice drift``: predictions of a log against the histograms of the bundle that made them."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import orjson
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from sluice.analysis.drift import RUN_LENGTH, Detector, Indices, Reference, detect, indices
from sluice.cli.exits import ExitCode, WrongUsage
from sluice.cli.options import OutputOption
from sluice.cli.output import Output, emit
from sluice.errors import InvariantError, StateError
from sluice.reports.canvas import Canvas

_PREFIX = "prediction."
_QUERY = "SELECT y, version FROM predictions ORDER BY ts_ms, prediction_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One output over a prediction log."""

    output: str
    batches: int
    alarmed: int | None
    """First batch at which the alarm rose; None: it did not."""
    began: int | None
    """Batch at which the evidence began to grow."""
    log_e: float
    found: Indices
    """Of all rows together."""


def drift(
    bundle: Annotated[
        Path, typer.Option("--bundle", metavar="DIR", help="Bundle, or its manifest.json.")
    ],
    log: Annotated[
        Path,
        typer.Option("--log", metavar="FILE", help="Prediction log: JSON lines, or SQLite (.db)."),
    ],
    version: Annotated[
        str | None,
        typer.Option("--version", help="Only predictions of this version.", show_default="all"),
    ] = None,
    batch: Annotated[
        int, typer.Option("--batch", min=1, metavar="N", help="Predictions looked at at once.")
    ] = 100,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 when an alarm has risen.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell whether predictions drift away from those in the training data; warns, never acts.

    A false alarm comes after a million batches or more, on average.
    """
    known = _references(bundle)
    values: dict[str, list[float]] = {name: [] for name in known}
    for row, made_by in _rows(log):
        if version is not None and made_by != version:
            continue
        for name, found in values.items():
            value = row.get(name)
            if isinstance(value, list) and len(value) == 1:
                value = value[0]
            if isinstance(value, int | float):
                found.append(float(value))
    judged = [_drift(name, known[name], found, batch) for name, found in values.items() if found]
    if not judged:
        raise WrongUsage(f"{log} has no prediction of {', '.join(known)}")
    emit(output, judged, lambda place: _view(judged, place))
    if strict and any(one.alarmed is not None for one in judged):
        raise typer.Exit(ExitCode.FAILED)


def _drift(name: str, known: Reference, values: list[float], size: int) -> Drift:
    detector = Detector()
    for at in range(0, len(values), size):
        detector = detect(detector, known, known.binned(values[at : at + size]))
    return Drift(
        output=name,
        batches=detector.batches,
        alarmed=detector.alarmed,
        began=detector.began,
        log_e=detector.log_e,
        found=indices(known, known.binned(values)),
    )


def _references(bundle: Path) -> dict[str, Reference]:
    path = bundle / "manifest.json" if bundle.is_dir() else bundle
    try:
        manifest = orjson.loads(path.read_bytes())
        found = {
            name.removeprefix(_PREFIX): Reference(
                edges=tuple(map(float, entry["edges"])), counts=tuple(map(int, entry["counts"]))
            )
            for name, entry in manifest.get("reference", {}).items()
            if name.startswith(_PREFIX)
        }
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror or error}") from error
    except InvariantError as error:
        raise WrongUsage(f"{path}: its reference cannot be used: {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise WrongUsage(f"{path} is no manifest of a bundle: {error}") from error
    if not found:
        raise WrongUsage(f"{path} has no histogram of predictions to compare with")
    return found


def _rows(log: Path) -> Iterator[tuple[Mapping[str, Any], str]]:
    """(outputs, version) of each prediction, oldest first."""
    if not log.exists():
        raise WrongUsage(f"{log} is not there: give the file of the prediction store")
    if log.suffix in (".db", ".sqlite", ".sqlite3"):
        yield from _from_sqlite(log)
        return
    with log.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                entry = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise StateError(f"{log}, line {number}: no JSON: {error}") from error
            # Feedback lies in the same file, and has no prediction in it.
            if isinstance(entry, dict) and isinstance(entry.get("y"), dict):
                yield entry["y"], str(entry.get("version", ""))


def _from_sqlite(log: Path) -> Iterator[tuple[Mapping[str, Any], str]]:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(log))}?mode=ro", uri=True)) as store:
            for text, version in store.execute(_QUERY):
                yield orjson.loads(text), str(version)
    except (sqlite3.Error, orjson.JSONDecodeError) as error:
        raise StateError(f"{log} is no store of predictions: {error}") from error


def _view(judged: list[Drift], canvas: Canvas) -> RenderableType:
    lines = []
    for one in judged:
        text = Text(f"{one.output} {canvas.glyphs.dot} ")
        if one.alarmed is None:
            text.append(f"no drift in {one.batches:,} batches", style="green")
        else:
            since = f", evidence grows since batch {one.began}" if one.began is not None else ""
            text.append(
                f"drift: alarm at batch {one.alarmed} of {one.batches:,}{since}", "bold red"
            )
        found = one.found
        above = "more than" if found.psi > found.psi_by_chance else "within"
        lines += [
            text,
            Text(
                f"  {found.rows:,} predictions: PSI {found.psi:.3g}, {above} what chance gives "
                f"({found.psi_by_chance:.3g}); KS {found.ks:.3g}; Wasserstein "
                f"{found.wasserstein:.3g}"
            ),
        ]
    lines.append(Text(f"  a false alarm comes after {RUN_LENGTH:,.0f} batches or more, on average"))
    return Group(*lines)

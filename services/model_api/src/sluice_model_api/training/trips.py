"""Taxi trips as arrays: read from a TLC file, or generated with the same schema and dirt."""

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from sluice_model_api.errors import ModelApiError
from sluice_model_api.tensors import Array

FIELDS = (
    "VendorID",
    "tpep_pickup_datetime",
    "tpep_dropoff_datetime",
    "passenger_count",
    "trip_distance",
    "PULocationID",
    "DOLocationID",
    "payment_type",
    "fare_amount",
    "tip_amount",
)
"""Columns that are used, of the TLC's many; the green taxis' ``lpep_*`` names are known too."""
CARD = 1
"""``payment_type`` of card payments: the only ones whose tips are recorded."""


class TripsError(ModelApiError):
    """The file of trips cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Trips:
    """Trips in order of pickup; every array has shape (trips,)."""

    source: str
    """Where they come from, for the model card."""
    sha256: str
    """Digest of the file, or of the generated rows."""
    pickup_datetime: Array
    """ISO 8601 text, local New York time."""
    duration_min: Array
    trip_distance: Array
    """Miles."""
    PULocationID: Array
    DOLocationID: Array
    payment_type: Array
    fare_amount: Array
    """USD."""
    tip_amount: Array
    """USD; meaningless unless paid by card."""

    def __len__(self) -> int:
        return len(self.trip_distance)

    def where(self, mask: Array) -> "Trips":
        """The trips that a boolean mask selects."""
        arrays: dict[str, Any] = {
            name: value[mask] if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }
        return Trips(**arrays)

    def columns(self, names: Iterable[str]) -> dict[str, Array]:
        """Columns by field name, as the feature functions take them."""
        return {name: getattr(self, name) for name in names}


def read_trips(path: Path) -> Trips:
    """Read a TLC CSV (yellow or green, 2016-07 to 2024).

    Rows whose needed fields are empty or not numbers are left out; nothing else is.

    Raises:
        TripsError: no such file, or not a file of trips.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TripsError(f"{path}: cannot be read: {error.strerror}") from error
    rows = csv.DictReader(raw.decode("utf-8-sig", errors="replace").splitlines())
    names = {name.replace("lpep_", "tpep_"): name for name in rows.fieldnames or ()}
    missing = [name for name in FIELDS if name not in names]
    if missing:
        raise TripsError(f"{path}: not a file of trips: no column {', '.join(missing)}")
    parsed = [
        trip
        for row in rows
        if (trip := _parse({name: row[names[name]] for name in FIELDS})) is not None
    ]
    digest = hashlib.sha256(raw).hexdigest()
    return _trips(parsed, source=f"{path.name}, NYC TLC trip records", digest=digest)


def _parse(row: Mapping[str, str]) -> tuple[Any, ...] | None:
    try:
        pickup = datetime.fromisoformat(row["tpep_pickup_datetime"])
        dropoff = datetime.fromisoformat(row["tpep_dropoff_datetime"])
        return (
            pickup.isoformat(),
            (dropoff - pickup).total_seconds() / 60,
            float(row["trip_distance"]),
            int(row["PULocationID"]),
            int(row["DOLocationID"]),
            int(float(row["payment_type"])),
            float(row["fare_amount"]),
            float(row["tip_amount"]),
        )
    except ValueError:
        return None


def _trips(rows: list[tuple[Any, ...]], *, source: str, digest: str) -> Trips:
    if not rows:
        raise TripsError(f"{source}: no usable trip in it")
    rows.sort()
    pickup, duration, distance, pu, do, payment, fare, tip = zip(*rows, strict=True)
    return Trips(
        source=source,
        sha256=digest,
        pickup_datetime=np.array(pickup, dtype=object),
        duration_min=np.array(duration),
        trip_distance=np.array(distance),
        PULocationID=np.array(pu, dtype=np.int64),
        DOLocationID=np.array(do, dtype=np.int64),
        payment_type=np.array(payment, dtype=np.int64),
        fare_amount=np.array(fare),
        tip_amount=np.array(tip),
    )


def generate_trips(*, count: int = 6_500, seed: int = 7) -> Trips:
    """Trips that behave like a March in New York: rush hours, airports, refunds, zero distances.

    The same seed gives the same trips. They stand in where no real file is at hand; what a
    model learns from them says nothing about New York.
    """
    random = np.random.default_rng(seed)
    zones = np.arange(1, 266)
    busy = random.gamma(0.6, size=len(zones))
    # Slow and fast districts: neighbours in number are neighbours on the map, more or less.
    pace = 1 + 0.3 * np.sin(zones / len(zones) * 4 * np.pi)
    start = datetime(2019, 3, 1)  # noqa: DTZ001  # TLC times are local, without zone
    hours = np.array([3, 2, 1, 1, 1, 2, 4, 6, 8, 8, 7, 7, 8, 8, 8, 8, 7, 8, 9, 9, 8, 7, 6, 5])
    rows = []
    for _ in range(count):
        day = int(random.integers(0, 31))
        hour = int(random.choice(24, p=hours / hours.sum()))
        when = start + timedelta(days=day, hours=hour, seconds=int(random.integers(0, 3600)))
        pu, do = (int(random.choice(zones, p=busy / busy.sum())) for _ in range(2))
        distance = float(np.round(np.clip(random.lognormal(0.6, 0.85), 0.1, 40), 2))
        workday = when.weekday() < 5
        speed = 11.5 + 2.2 * min(distance, 8) - (4.5 if workday and 7 <= hour < 19 else 0)
        minutes = 60 * distance / speed * float(pace[pu - 1] * pace[do - 1]) ** 0.7
        minutes = (1.5 + minutes) * float(random.lognormal(0, 0.2))
        fare = round(2.5 + 2.5 * distance * 0.8 + 0.4 * minutes * 0.6, 1)
        card = bool(random.random() < 0.71)
        generous = float(random.choice([0.0, 0.2, 0.25, 0.3], p=[0.06, 0.5, 0.32, 0.12]))
        tip = round(generous * (fare + 2.5) * float(random.lognormal(0, 0.12)), 2) if card else 0.0
        if random.random() < 0.0015:
            fare = -fare
        if random.random() < 0.009:
            distance = 0.0
        rows.append((when.isoformat(), minutes, distance, pu, do, 1 if card else 2, fare, tip))
    digest = hashlib.sha256(repr(sorted(rows)).encode()).hexdigest()
    return _trips(rows, source=f"generated trips (seed {seed})", digest=digest)

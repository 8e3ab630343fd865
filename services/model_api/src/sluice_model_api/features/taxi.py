"""Features of a taxi trip: what is known when the ride is booked, or when its fare is known."""

from collections.abc import Mapping
from datetime import datetime
from math import cos, pi, sin
from typing import Final

import numpy as np

from sluice_model_api.tensors import Array

TRIP_FEATURES: Final = (
    "trip_distance",
    "log_distance",
    "hour",
    "hour_sin",
    "hour_cos",
    "weekday",
    "weekend",
    "workday_rush",
    "pickup_zone",
    "dropoff_zone",
    "same_zone",
    "airport",
)
"""Columns of ``taxi.trip/1``, in order."""
FARE_FEATURES: Final = ("fare_amount", "fare_per_mile", *TRIP_FEATURES)
"""Columns of ``taxi.fare/1``, in order."""

_AIRPORTS: Final = (1, 132, 138)
"""Zones of Newark, JFK and LaGuardia (TLC zone table)."""


def trip(columns: Mapping[str, Array]) -> Mapping[str, Array]:
    """``taxi.trip/1``: pickup_datetime, zones and distance to one FP32 matrix ``features``."""
    return {"features": _trip_matrix(columns, lead=0)}


def fare(columns: Mapping[str, Array]) -> Mapping[str, Array]:
    """``taxi.fare/1``: the trip and its metered fare (USD) to one FP32 matrix ``features``."""
    matrix = _trip_matrix(columns, lead=2)
    amount = columns["fare_amount"]
    matrix[:, 0] = amount
    matrix[:, 1] = amount / np.maximum(columns["trip_distance"], 0.1)
    return {"features": matrix}


def _trip_matrix(columns: Mapping[str, Array], *, lead: int) -> Array:
    distance = columns["trip_distance"]
    pickup, dropoff = columns["PULocationID"], columns["DOLocationID"]
    matrix = np.empty((len(distance), lead + len(TRIP_FEATURES)), dtype=np.float32)
    matrix[:, lead] = distance
    matrix[:, lead + 1] = np.log1p(distance)
    for row, text in enumerate(columns["pickup_datetime"].tolist()):
        matrix[row, lead + 2 : lead + 8] = _clock(text)
    matrix[:, lead + 8] = pickup
    matrix[:, lead + 9] = dropoff
    matrix[:, lead + 10] = pickup == dropoff
    airport = np.zeros(len(distance), dtype=bool)
    for zone in _AIRPORTS:
        airport |= (pickup == zone) | (dropoff == zone)
    matrix[:, lead + 11] = airport
    return matrix


def _clock(text: str) -> tuple[float, float, float, int, bool, bool]:
    when = datetime.fromisoformat(text)
    hour = when.hour + when.minute / 60
    weekday = when.weekday()
    weekend = weekday >= 5
    angle = hour * (pi / 12)
    return hour, sin(angle), cos(angle), weekday, weekend, not weekend and 7 <= hour < 19

"""The two taxi models, in two versions each: what they predict, from what, and how well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import numpy as np

from sluice_model_api.bundle.manifest import InputSpec
from sluice_model_api.features import prepare_features
from sluice_model_api.features.taxi import FARE_FEATURES, TRIP_FEATURES
from sluice_model_api.tensors import Array
from sluice_model_api.training.trips import CARD, Trips

Version = Literal["1", "2"]

_TRIP_INPUTS: Final = (
    InputSpec(
        name="pickup_datetime",
        datatype="BYTES",
        shape=(-1,),
        format="datetime",
        description="when the ride begins, local New York time, ISO 8601 without zone",
        aliases=("tpep_pickup_datetime", "lpep_pickup_datetime"),
    ),
    InputSpec(
        name="PULocationID",
        datatype="INT64",
        shape=(-1,),
        minimum=1,
        maximum=265,
        description="TLC zone of the pickup",
    ),
    InputSpec(
        name="DOLocationID",
        datatype="INT64",
        shape=(-1,),
        minimum=1,
        maximum=265,
        description="TLC zone of the drop-off",
    ),
    InputSpec(
        name="trip_distance",
        datatype="FP64",
        shape=(-1,),
        above=0,
        maximum=500,
        description="miles",
    ),
)
_FARE_INPUTS: Final = (
    *_TRIP_INPUTS,
    InputSpec(
        name="fare_amount",
        datatype="FP64",
        shape=(-1,),
        above=0,
        maximum=2000,
        description="metered fare, USD; negative fares are refunds and refused",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a model predicts and from which trips it may learn."""

    name: str
    output: str
    unit: str
    description: str
    feature_function: str
    feature_names: tuple[str, ...]
    inputs: tuple[InputSpec, ...]
    distance_only: tuple[str, ...]
    """Features that the linear version uses."""
    learnable: str
    """The rule for training and evaluation rows, in words, for the model card."""

    def rows(self, trips: Trips) -> Trips:
        """Trips to learn and evaluate from; a rule on labels must never reach scoring."""
        known = (trips.trip_distance > 0) & (trips.trip_distance <= 500)
        known &= (trips.PULocationID >= 1) & (trips.PULocationID <= 265)
        known &= (trips.DOLocationID >= 1) & (trips.DOLocationID <= 265)
        if self.output == "duration":
            return trips.where(known & (trips.duration_min >= 1) & (trips.duration_min <= 60))
        card = (trips.payment_type == CARD) & (trips.fare_amount > 0)
        return trips.where(known & card & (trips.fare_amount <= 2000) & (trips.tip_amount >= 0))

    def label(self, trips: Trips) -> Array:
        """What is to be predicted, shape (trips,)."""
        return trips.duration_min if self.output == "duration" else trips.tip_amount

    def columns(self, trips: Trips) -> dict[str, Array]:
        """The model's own fields of trips."""
        return trips.columns(spec.name for spec in self.inputs)

    def matrix(self, trips: Trips) -> Array:
        """Features of trips, shape (trips, features), FP32."""
        return prepare_features(self.feature_function, self.columns(trips))["features"]


_LINEAR: Final = (
    "trip_distance",
    "log_distance",
    "hour_sin",
    "hour_cos",
    "weekend",
    "workday_rush",
    "airport",
)
DURATION: Final = Task(
    name="taxi-duration",
    output="duration",
    unit="minutes",
    description="Duration of a New York taxi ride, minutes, from what is known when it begins",
    feature_function="taxi.trip/1",
    feature_names=TRIP_FEATURES,
    inputs=_TRIP_INPUTS,
    distance_only=_LINEAR,
    learnable="1 to 60 minutes, distance over 0, known zones",
)
TIP: Final = Task(
    name="taxi-tip",
    output="tip",
    unit="USD",
    description="Tip of a New York taxi ride paid by card, USD, once the fare is known",
    feature_function="taxi.fare/1",
    feature_names=FARE_FEATURES,
    inputs=_FARE_INPUTS,
    distance_only=("fare_amount", "trip_distance", "airport"),
    learnable="paid by card (cash tips are not recorded), fare over 0, known zones",
)
TASKS: Final = (DURATION, TIP)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Training rows, and the rows of a later week for evaluation."""

    train: Trips
    test: Trips


def split_by_time(trips: Trips, *, days: int = 7) -> Split:
    """The last ``days`` whole days are for evaluation, all before them for training."""
    last = datetime.fromisoformat(max(trips.pickup_datetime)).date()
    cut = np.datetime64(last) - np.timedelta64(days - 1, "D")
    later = trips.pickup_datetime >= str(cut)
    return Split(train=trips.where(~later), test=trips.where(later))


def metrics(label: Array, predicted: Array) -> dict[str, float]:
    """MAE and RMSE in the label's unit, and R²."""
    error = predicted.reshape(-1) - label
    return {
        "mae": round(float(np.mean(np.abs(error))), 4),
        "rmse": round(float(np.sqrt(np.mean(error**2))), 4),
        "r2": round(float(1 - np.var(error) / np.var(label)), 4),
    }


def period(trips: Trips) -> Mapping[str, str | int]:
    """First and last pickup and number of trips."""
    return {
        "from": str(trips.pickup_datetime[0]),
        "to": str(trips.pickup_datetime[-1]),
        "rows": len(trips),
    }


def describe_inputs(inputs: Sequence[InputSpec]) -> list[str]:
    """One line per input for the model card."""
    return [f"`{spec.name}` ({spec.datatype}): {spec.description}" for spec in inputs]

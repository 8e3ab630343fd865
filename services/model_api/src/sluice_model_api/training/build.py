"""Trains the taxi models and writes their bundles (``make models``)."""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from sluice_model_api.bundle.archive import Bundle, read_bundle
from sluice_model_api.bundle.build import Recipe, build_bundle
from sluice_model_api.errors import BundleError, ModelApiError
from sluice_model_api.features import feature_digest
from sluice_model_api.training.card import model_card
from sluice_model_api.training.taxi import (
    TASKS,
    Split,
    Task,
    Version,
    metrics,
    period,
    split_by_time,
)
from sluice_model_api.training.trips import Trips, generate_trips, read_trips

VERSIONS: tuple[Version, ...] = ("1", "2")


def build_task(task: Task, trips: Trips, out: Path, *, seed: int) -> list[Bundle]:
    """Train, evaluate on the later week and bundle every version of one model."""
    from sluice_model_api.training.fit import fit  # seconds of scikit-learn

    rows = task.rows(trips)
    split = split_by_time(rows)
    train, test = task.matrix(split.train), task.matrix(split.test)
    models = {
        version: fit(task, version, train, task.label(split.train), seed=seed)
        for version in VERSIONS
    }
    figures = {
        version: metrics(task.label(split.test), model.predict(test))
        for version, model in models.items()
    }
    return [
        _bundle(task, version, models[version], split, figures, out, seed=seed)
        for version in VERSIONS
    ]


def _bundle(
    task: Task,
    version: Version,
    model: Any,
    split: Split,
    figures: dict[Version, dict[str, float]],
    out: Path,
    *,
    seed: int,
) -> Bundle:
    facts: dict[str, Any] = {
        "data": split.train.source,
        "data_sha256": split.train.sha256,
        "rule": task.learnable,
        "train": period(split.train),
        "test": period(split.test),
        "seed": seed,
        "unit": task.unit,
        "metrics": figures[version],
        "metrics_of_other_versions": {
            other: value for other, value in figures.items() if other != version
        },
    }
    card = model_card(task, version, model, facts)
    return build_bundle(
        Recipe(
            name=task.name,
            version=version,
            estimator=model,
            feature_function=task.feature_function,
            inputs=task.inputs,
            output=task.output,
            columns=task.columns(split.train),
            description=task.description,
            training=facts,
            feature_names=task.feature_names,
            extra_files={"MODEL_CARD.md": card.encode()},
        ),
        out / task.name / version,
    )


def _usable(out: Path, seed: int, trips: str) -> bool:
    """Every bundle is there, whole, and made from these trips with this seed."""
    try:
        bundles = [read_bundle(out / task.name / version) for task in TASKS for version in VERSIONS]
    except BundleError:
        return False
    return all(
        bundle.manifest.training.get("data_sha256") == trips
        and bundle.manifest.training.get("seed") == seed
        and bundle.manifest.features.sha256 == feature_digest(bundle.manifest.features.id)
        for bundle in bundles
    )


def main(argv: list[str] | None = None) -> int:
    """Build all bundles; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sluice_model_api.training.build",
        description="Train the taxi models and write their bundles to OUT/name/version/.",
    )
    parser.add_argument("--out", type=Path, default=Path(".artifacts/models"))
    parser.add_argument(
        "--trips", type=Path, default=None, help="TLC trips as CSV (default: $TRIPS)"
    )
    parser.add_argument(
        "--if-missing", action="store_true", help="do nothing when the bundles are there"
    )
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args(argv)
    path = args.trips or (Path(os.environ["TRIPS"]) if os.environ.get("TRIPS") else None)
    started = time.perf_counter()
    try:
        if path is None:
            print(  # noqa: T201  # a command's answer
                "no trips given (--trips, TRIPS): generating trips of the same schema",
                file=sys.stderr,
            )
            trips = generate_trips(seed=args.seed)
        else:
            trips = read_trips(path)
        if args.if_missing and _usable(args.out, args.seed, trips.sha256):
            return 0
        for task in TASKS:
            for bundle in build_task(task, trips, args.out, seed=args.seed):
                _report(bundle)
    except ModelApiError as error:
        print(f"models: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"{len(trips)} trips, {time.perf_counter() - started:.1f} s", file=sys.stderr)  # noqa: T201
    return 0


def _report(bundle: Bundle) -> None:
    manifest = bundle.manifest
    figures = manifest.training["metrics"]
    print(  # noqa: T201
        f"{bundle.origin}  {bundle.digest[:19]}  later week: MAE {figures['mae']:.2f}, "
        f"RMSE {figures['rmse']:.2f} {manifest.training['unit']}, R² {figures['r2']:.3f}, "
        f"max |Δ| of the conversion {manifest.parity.source_max_abs_diff:.1e}"
    )


if __name__ == "__main__":
    sys.exit(main())

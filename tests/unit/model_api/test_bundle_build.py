"""Bundles from fitted models: converted, proven, the same every time."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from sluice_model_api.bundle import build as building
from sluice_model_api.bundle.archive import read_bundle
from sluice_model_api.bundle.build import Recipe, build_bundle
from sluice_model_api.bundle.manifest import InputSpec
from sluice_model_api.cli import main
from sluice_model_api.errors import BundleError
from sluice_model_api.model import Model
from sluice_model_api.repository import version_key
from sluice_model_api.training.build import main as build_models
from sluice_model_api.training.trips import TripsError, generate_trips, read_trips

TRIPS = os.environ.get("TRIPS", "")
"""Real trips, read before a fixture of this module hides them."""
CHANCE = np.random.default_rng(3)
ROWS = CHANCE.uniform(0, 10, size=(200, 3)).astype(np.float32)
LABEL = ROWS @ np.array([1.0, 2.0, 3.0]) + CHANCE.normal(0, 0.1, 200)


def recipe(estimator: object = None) -> Recipe:
    """Named by the command-line test as well, hence the default."""
    return Recipe(
        name="made",
        version="1",
        estimator=estimator or LinearRegression().fit(ROWS, LABEL),
        feature_function="identity/1",
        inputs=[InputSpec(name="x", datatype="FP32", shape=(-1, 3))],
        output="y",
        columns={"x": ROWS},
        feature_names=("a", "b", "c"),
    )


@pytest.fixture(scope="module")
def boosted() -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(max_iter=5).fit(ROWS, LABEL)


def test_a_model_that_converts_becomes_onnx_with_the_difference_stated(tmp_path: Path) -> None:
    bundle = build_bundle(recipe(), tmp_path / "b")
    manifest = bundle.manifest
    assert manifest.platform == "onnx_onnxv1"
    assert manifest.parity.source_max_abs_diff is not None
    assert manifest.parity.source_max_abs_diff < 1e-4
    assert sum(manifest.reference["a"].counts) == 200
    assert set(manifest.reference) == {"a", "b", "c", "prediction.y"}
    found = Model(bundle).score({"x": ROWS})["y"].ravel()
    np.testing.assert_allclose(found, recipe().estimator.predict(ROWS), rtol=1e-5)


def test_the_same_recipe_gives_the_same_digest(tmp_path: Path) -> None:
    digests = {build_bundle(recipe(), tmp_path / name).digest for name in ("a", "b", "a")}
    assert len(digests) == 1


def test_a_conversion_that_answers_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = building._onnx(recipe(LinearRegression().fit(ROWS, LABEL + 1)), "x", 3)
    monkeypatch.setattr(building, "_onnx", lambda *_: other)
    with pytest.raises(BundleError, match=r"parity failed|differs from the trained one"):
        build_bundle(recipe(), tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_model_that_does_not_convert_needs_trust_to_become_skops(
    tmp_path: Path, boosted: HistGradientBoostingRegressor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> bytes:
        raise RuntimeError("Expected an int, got a boolean")

    monkeypatch.setattr(building, "_onnx", fails)
    with pytest.raises(BundleError, match="nobody has trusted: sklearn") as error:
        build_bundle(recipe(boosted), tmp_path / "b")
    types = str(error.value).partition("trusted: ")[2].partition(";")[0].split(", ")
    bundle = build_bundle(replace(recipe(boosted), trusted_types=types), tmp_path / "b")
    assert bundle.manifest.platform == "skops_sklearn"
    assert "Expected an int" in bundle.manifest.training["conversion"]
    found = Model(bundle, trusted=types).score({"x": ROWS})["y"].ravel()
    np.testing.assert_allclose(found, boosted.predict(ROWS), rtol=1e-6)


def test_a_skops_bundle_cannot_allow_itself_a_type(tmp_path: Path) -> None:
    made = build_bundle(replace(recipe(), force_skops=True), tmp_path / "b")
    assert made.manifest.platform == "skops_sklearn"
    assert Model(made).score({"x": ROWS[:1]})["y"].shape == (1, 1)
    greedy = replace(
        made, manifest=msgspec.structs.replace(made.manifest, trusted_types=("os.system",))
    )
    with pytest.raises(BundleError, match=r"asks to trust os\.system"):
        Model(greedy)


def test_the_command_builds_verifies_and_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "registry")
    assert main(["bundle", "build", f"{__name__}:recipe", "--out", out]) == 0
    folder = str(tmp_path / "registry" / "made" / "1")
    digest = read_bundle(Path(folder)).digest
    assert digest in capsys.readouterr().out
    assert main(["bundle", "verify", folder, "--digest", digest]) == 0
    assert main(["bundle", "show", folder]) == 0
    assert "x FP32 [-1, 3]" in capsys.readouterr().out
    assert main(["bundle", "show", folder, "--json"]) == 0
    assert f'"digest": "{digest}"' in capsys.readouterr().out
    assert main(["bundle", "verify", folder, "--digest", "sha256:" + "0" * 64]) == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("model.pkl", "run code when they are read", id="pickle"),
        pytest.param("model.joblib", "run code when they are read", id="joblib"),
        pytest.param("no_such_module:recipe", "module:function", id="no-module"),
        pytest.param("json:dumps_all", "module:function", id="no-function"),
        pytest.param("os:getcwd", "expected a Recipe", id="not-a-recipe"),
    ],
)
def test_what_cannot_be_built_from_is_refused_in_one_line(
    source: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "build", source]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize("verb", [[], ["bundle"], ["nope"], ["bundle", "verify"]])
def test_wrong_usage_ends_with_64(verb: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(verb)
    assert ended.value.code == 64


def test_versions_sort_as_people_do() -> None:
    assert sorted(["10", "2", "v1.10", "v1.9", "1"], key=version_key) == [
        "1", "2", "10", "v1.9", "v1.10",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TRIPS", raising=False)
        assert build_models(["--out", str(out), "--seed", "3"]) == 0
        yield out


@pytest.mark.slow
def test_without_trips_models_are_made_from_generated_ones_and_say_so(
    generated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("taxi-duration", "taxi-tip"):
        for version in ("1", "2"):
            bundle = read_bundle(generated / name / version)
            assert "generated trips" in bundle.manifest.training["data"]
            assert bundle.files["MODEL_CARD.md"].startswith(b"# " + name.encode())
            train, test = bundle.manifest.training["train"], bundle.manifest.training["test"]
            assert train["to"] < test["from"]
    before = {path: path.stat().st_mtime_ns for path in generated.rglob("manifest.json")}
    assert build_models(["--out", str(generated), "--seed", "3", "--if-missing"]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in generated.rglob("manifest.json")}
    assert "generating trips" in capsys.readouterr().err


@pytest.mark.slow
def test_version_2_of_the_duration_model_beats_version_1_on_a_later_week(generated: Path) -> None:
    first, second = (
        read_bundle(generated / "taxi-duration" / version).manifest.training["metrics"]
        for version in ("1", "2")
    )
    assert second["rmse"] < first["rmse"]
    assert second["mae"] < first["mae"]


@pytest.mark.slow
@pytest.mark.skipif(not TRIPS, reason="no real trips (TRIPS)")
def test_on_real_trips_version_2_of_both_models_beats_version_1(tmp_path: Path) -> None:
    assert build_models(["--out", str(tmp_path), "--trips", TRIPS]) == 0
    for name in ("taxi-duration", "taxi-tip"):
        first, second = (
            read_bundle(tmp_path / name / version).manifest.training["metrics"]
            for version in ("1", "2")
        )
        assert second["rmse"] < first["rmse"]
        assert second["mae"] < first["mae"]


def test_generated_trips_repeat_and_have_the_dirt_of_real_ones() -> None:
    first, second = generate_trips(count=3_000, seed=5), generate_trips(count=3_000, seed=5)
    assert first.sha256 == second.sha256 != generate_trips(count=3_000, seed=6).sha256
    assert (first.trip_distance == 0).any()
    assert (first.fare_amount < 0).any()
    assert (first.tip_amount[first.payment_type == 2] == 0).all()


@pytest.mark.parametrize("content", [None, "a,b\n1,2\n"], ids=["missing", "other-columns"])
def test_a_file_that_is_not_of_trips_is_one_line(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "trips.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(TripsError, match=r"trips\.csv"):
        read_trips(path)

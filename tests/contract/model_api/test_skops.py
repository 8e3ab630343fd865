"""A model in skops form from the fitted estimator to the answer of a server, and no type unseen."""

from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.preprocessing import FunctionTransformer
from tests.unit.model_api.support import running

from sluice_model_api import backends
from sluice_model_api.bundle.archive import read_bundle
from sluice_model_api.bundle.build import Recipe, build_bundle
from sluice_model_api.bundle.manifest import InputSpec
from sluice_model_api.cli import main
from sluice_model_api.errors import BundleError
from sluice_model_api.model import Model

ROWS = np.random.default_rng(3).uniform(0, 10, size=(300, 3)).astype(np.float32)
TREES = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"


@pytest.fixture(scope="module")
def boosted() -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(max_iter=20).fit(ROWS, np.sin(ROWS).sum(axis=1))


def recipe(estimator: HistGradientBoostingRegressor, *trusted: str) -> Recipe:
    return Recipe(
        name="boosted",
        version="1",
        estimator=estimator,
        feature_function="identity/1",
        inputs=[InputSpec(name="x", datatype="FP32", shape=(-1, 3))],
        output="y",
        columns={"x": ROWS},
        force_skops=True,
        trusted_types=trusted,
    )


@pytest.mark.slow
def test_gradient_boosting_is_built_verified_and_served_with_the_same_numbers(
    tmp_path: Path, boosted: HistGradientBoostingRegressor, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "models" / "boosted" / "1"
    bundle = build_bundle(recipe(boosted, TREES), folder)
    assert bundle.manifest.platform == "skops_sklearn"
    assert bundle.manifest.trusted_types == (TREES,)
    assert main(["bundle", "verify", str(folder), "--digest", bundle.digest]) == 0
    assert "gives its parity sample" in capsys.readouterr().out
    with running(tmp_path / "models", tmp_path / "log") as server:
        answer = httpx.post(
            f"{server.url}/predict", json=[{"x": row.tolist()} for row in ROWS], timeout=30
        )
        metadata = httpx.get(f"{server.url}/v2/models/boosted").json()
    found = [record["prediction"] for record in answer.json()]
    np.testing.assert_allclose(found, boosted.predict(ROWS), rtol=1e-6)
    assert metadata["platform"] == "skops_sklearn"


def test_a_type_that_nobody_named_is_refused_by_its_name_when_a_bundle_is_built(
    tmp_path: Path, boosted: HistGradientBoostingRegressor
) -> None:
    with pytest.raises(BundleError, match=rf"nobody has trusted: {TREES}"):
        build_bundle(recipe(boosted), tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_server_refuses_a_type_outside_its_list_by_its_name_unless_it_is_told(
    tmp_path: Path, boosted: HistGradientBoostingRegressor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = build_bundle(recipe(boosted, TREES), tmp_path / "b")
    monkeypatch.setattr(backends, "ALLOWED_TYPES", backends.ALLOWED_TYPES - {TREES})
    with pytest.raises(BundleError, match=rf"asks to trust {TREES}.*MODEL_API_TRUSTED_TYPES"):
        Model(read_bundle(tmp_path / "b"))
    assert Model(read_bundle(tmp_path / "b"), trusted=[TREES]).name == bundle.manifest.name


def test_a_type_hidden_in_the_file_is_refused_though_the_manifest_is_silent(
    tmp_path: Path, boosted: HistGradientBoostingRegressor
) -> None:
    bundle = build_bundle(recipe(boosted, TREES), tmp_path / "b")
    hostile = skops.io.dumps(FunctionTransformer(func=np.savetxt))
    (name,) = skops.io.get_untrusted_types(data=hostile)
    with pytest.raises(BundleError, match=name):
        Model(replace(bundle, files={bundle.manifest.model_file: hostile}))

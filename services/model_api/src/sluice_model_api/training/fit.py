"""Fits the taxi models; the only module here that pays for the import of scikit-learn."""

from typing import Any

from sklearn.base import RegressorMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sluice_model_api.tensors import Array
from sluice_model_api.training.taxi import Task, Version


def fit(task: Task, version: Version, matrix: Array, label: Array, *, seed: int) -> RegressorMixin:
    """A fitted model: version 1 is linear in a few features, version 2 is gradient boosting."""
    if version == "1":
        chosen = [task.feature_names.index(name) for name in task.distance_only]
        select = ColumnTransformer([("chosen", StandardScaler(), chosen)])
        model: Any = make_pipeline(select, LinearRegression())
    else:
        model = GradientBoostingRegressor(
            n_estimators=160 if task.output == "duration" else 60,
            max_depth=5 if task.output == "duration" else 3,
            learning_rate=0.06,
            subsample=0.7,
            min_samples_leaf=12,
            max_features=0.6,
            random_state=seed,
        )
    fitted: RegressorMixin = model.fit(matrix, label)
    return fitted

"""The reference page names every setting, fault and metric, with its default."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.unit.model_api.support import linear_bundle, parts

from sluice_model_api.faults import Faults
from sluice_model_api.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs/reference/model-api.md").read_text()
FIELDS = [
    *(("MODEL_API_", name, field) for name, field in Settings.model_fields.items()),
    *(("MODEL_API_FAULT_", name, field) for name, field in Faults.model_fields.items()),
]


@pytest.mark.parametrize(("prefix", "name", "field"), FIELDS, ids=[f[1] for f in FIELDS])
def test_every_setting_is_documented_with_its_default(
    prefix: str, name: str, field: object
) -> None:
    default = field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    shown = "" if default in ("", None) else f"`{default}`"
    assert f"| `{prefix}{name.upper()}` | {shown} |" in PAGE


def test_every_metric_is_documented(tmp_path: Path) -> None:
    text = parts(
        linear_bundle(tmp_path / "b"), predictions_url=f"jsonl:{tmp_path}/p"
    ).metrics.render()
    names = {line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE")}
    assert not {name for name in names if f"`{name}`" not in PAGE}

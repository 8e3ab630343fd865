"""The reference page names every metric (settings have a generated page of their own)."""

from pathlib import Path

from tests.unit.model_api.support import linear_bundle, parts

PAGE = (Path(__file__).parents[3] / "docs/reference/model-api.md").read_text()


def test_every_metric_is_documented(tmp_path: Path) -> None:
    text = parts(
        linear_bundle(tmp_path / "b"), predictions_url=f"jsonl:{tmp_path}/p"
    ).metrics.render()
    names = {line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE")}
    assert not {name for name in names if f"`{name}`" not in PAGE}

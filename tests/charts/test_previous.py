"""Who upgrades from the chart version before keeps the pods: nothing of them has changed."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.support import CHARTS, KUBE_VERSION, ROOT, pods, program, render

PREVIOUS = sorted((ROOT / "tests" / "charts" / "previous").glob("*.tgz"))


def of_package(package: Path, values: Path) -> list[dict[str, Any]]:
    command = [program("helm"), "template", "taxi", str(package), "-n", "ml", "-f", str(values)]
    done = subprocess.run(
        [*command, "--kube-version", KUBE_VERSION], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.load_all(done.stdout, yaml.CSafeLoader) if item]


@pytest.mark.parametrize("package", PREVIOUS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    "values",
    sorted((CHARTS / "model-api" / "ci").glob("*-values.yaml")),
    ids=lambda path: path.name[:-12],
)
def test_pods_and_selectors_are_those_of_the_version_before(package: Path, values: Path) -> None:
    old, new = of_package(package, values), render("model-api", "-f", str(values))
    assert without_tests(old) == without_tests(new)
    selectors = [
        [item["spec"]["selector"] for item in objects if item["kind"] == "Deployment"]
        for objects in (old, new)
    ]
    assert selectors[0] == selectors[1], "a selector cannot be changed"


def without_tests(objects: list[Any]) -> dict[str, Any]:
    """Pods that users depend on."""
    return {name: pod for name, pod in pods(objects) if not name.startswith("Pod/")}


def test_there_is_a_version_before_and_it_is_not_this_one() -> None:
    current = yaml.safe_load((CHARTS / "model-api" / "Chart.yaml").read_text())["version"]
    assert PREVIOUS
    assert f"model-api-{current}" not in {path.stem for path in PREVIOUS}

"""The import contracts of pyproject.toml hold, and each of them breaks when it is violated."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("src", "services/model_api/src", "services/router/src", "services/controller/src")
LINT = Path(sys.executable).with_name("lint-imports")


def contracts() -> Mapping[str, str]:
    """Contract names by id."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {item["id"]: item["name"] for item in project["tool"]["importlinter"]["contracts"]}


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A copy of all sources that a test may spoil."""

    root: Path

    def write(self, module: str, line: str) -> Path:
        """Add a line to a module, which is made when it is missing."""
        path = self.root / module
        before = path.read_text() if path.exists() else '"""New."""\n'
        path.write_text(f"{before}\n{line}\n")
        return path

    def broken(self) -> set[str]:
        """Ids of the contracts that break."""
        places = os.pathsep.join(str(self.root / source) for source in SOURCES)
        command = [str(LINT), "--config", "pyproject.toml", "--cache-dir", "cache"]
        environment = {**os.environ, "PYTHONPATH": places, "NO_COLOR": "1", "COLUMNS": "200"}
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=60
        )
        said = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", done.stdout, re.MULTILINE))
        names = contracts()
        assert said.keys() == set(names.values()), done.stdout + done.stderr
        found = {contract for contract, name in names.items() if said[name] == "BROKEN"}
        assert (done.returncode != 0) == bool(found)
        return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    root = tmp_path_factory.mktemp("tree")
    for source in SOURCES:
        shutil.copytree(
            ROOT / source, root / source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    shutil.copy(ROOT / "pyproject.toml", root)
    return Tree(root=root)


def test_all_contracts_hold(tree: Tree) -> None:
    assert tree.broken() == set()


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        pytest.param("src/sluice/engine/ramp.py", "import time", "pure", id="engine-reads-a-clock"),
        pytest.param(
            "src/sluice/nouns/words.py",
            "import logging",
            "pure",
            id="engine-logs-through-the-nouns",
        ),
        pytest.param(
            "src/sluice/analysis/bounds.py", "import random", "pure", id="analysis-draws-lots"
        ),
        pytest.param(
            "src/sluice/engine/ramp.py",
            "import sluice.analysis.bounds",
            "layers",
            id="engine-knows-analysis",
        ),
        pytest.param(
            "src/sluice/platforms/clock.py",
            "import sluice.dataplanes.names",
            "layers",
            id="platforms-know-dataplanes",
        ),
        pytest.param(
            "src/sluice/ports.py",
            "import sluice.platforms.clock",
            "layers",
            id="ports-know-adapters",
        ),
        pytest.param(
            "src/sluice/connections.py",
            "import sluice.metrics.codec",
            "layers",
            id="connections-know-who-uses-them",
        ),
        pytest.param(
            "src/sluice/runtime/tally.py",
            "import sluice.laptop.library",
            "layers",
            id="runtime-knows-the-laptop",
        ),
        pytest.param(
            "src/sluice/extra.py", "import sluice.nouns", "layers", id="module-without-a-layer"
        ),
        pytest.param(
            "services/model_api/src/sluice_model_api/model.py",
            "import sluice.nouns",
            "workload",
            id="model-api-knows-sluice",
        ),
        pytest.param(
            "services/model_api/src/sluice_model_api/rpc/messages.py",
            "import sluice_model_api.serve",
            "model-api",
            id="grpc-knows-the-process-it-runs-in",
        ),
        pytest.param(
            "services/router/src/sluice_router/main.py",
            "import sluice_model_api.model",
            "distributions",
            id="a-service-knows-another",
        ),
        pytest.param(
            "src/sluice/runtime/tally.py",
            "import sluice.testing.clock",
            "no-fakes-shipped",
            id="runtime-uses-a-fake",
        ),
        pytest.param(
            "src/sluice/platforms/clock.py",
            "import kubernetes",
            "one-client",
            id="a-platform-knows-the-client",
        ),
        pytest.param(
            "src/sluice/cluster/keys.py",
            "import kopf",
            "one-framework",
            id="the-library-knows-the-framework",
        ),
        pytest.param(
            "src/sluice/kube/limits.py",
            "import sluice.platforms.clock",
            "layers",
            id="kube-knows-a-platform",
        ),
    ],
)
def test_a_violation_breaks_exactly_its_contract(
    tree: Tree, module: str, line: str, contract: str
) -> None:
    path = tree.root / module
    before = path.read_text() if path.exists() else None
    try:
        tree.write(module, line)
        assert tree.broken() == {contract}
    finally:
        path.unlink() if before is None else path.write_text(before)


def test_every_contract_is_violated_by_some_test() -> None:
    text = Path(__file__).read_text()
    assert [contract for contract in contracts() if f'"{contract}"' not in text] == []

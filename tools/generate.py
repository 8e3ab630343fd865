"""Writes every generated file, or with ``--check`` fails when one is not what would be written."""

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sluice.spec import schema_of
from tools import (
    generate_charts,
    generate_cli,
    generate_conformance,
    generate_crd,
    generate_diagrams,
    generate_index,
    generate_k8s,
    generate_settings,
    generate_ways,
    goldens,
    reference,
)
from tools.crd import outline

ROOT = Path(__file__).resolve().parent.parent


def _schema(kind: str) -> str:
    return json.dumps(schema_of(kind), indent=2) + "\n"


def _crd(make: Callable[[], dict[str, Any]]) -> str:
    return generate_crd.template(make())


def _outline(make: Callable[[], dict[str, Any]]) -> str:
    return outline.text(make())


def _golden(make: Callable[[Path], str], folder: str, ending: str) -> dict[str, Callable[[], str]]:
    """One output beside each input ``*.yaml`` of a folder of golden files."""
    inputs = sorted((ROOT / folder).glob("*.yaml"))
    return {f"{folder}/{path.stem}{ending}": partial(make, path) for path in inputs}


GENERATED: Mapping[str, Callable[[], str]] = {
    "schemas/release.json": partial(_schema, "Release"),
    "schemas/release-policy.json": partial(_schema, "ReleasePolicy"),
    "schemas/slo.json": partial(_schema, "SLO"),
    "charts/sluice/templates/crds/releases.yaml": partial(_crd, generate_crd.release),
    "charts/sluice/templates/crds/releasepolicies.yaml": partial(_crd, generate_crd.policy),
    "tests/golden/crd/releases.txt": partial(_outline, generate_crd.release),
    "tests/golden/crd/releasepolicies.txt": partial(_outline, generate_crd.policy),
    "docs/reference/release.md": reference.page,
    "docs/reference/charts.md": generate_charts.page,
    "docs/reference/cli.md": generate_cli.page,
    "docs/reference/conformance.md": generate_conformance.page,
    "docs/reference/settings.md": generate_settings.page,
    "docs/explanation/machine.md": generate_diagrams.page,
    "docs/explanation/ways.md": generate_ways.page,
    "docs/decisions/README.md": generate_index.index,
    "docs/README.md": generate_index.contents,
    **{
        f"charts/{name}/values.schema.json": partial(generate_charts.values_schema, name)
        for name in generate_charts.NAMES
    },
    **generate_k8s.outputs(),
    **_golden(goldens.plan, "tests/golden/plan", ".json"),
    **_golden(goldens.faults, "tests/golden/spec-errors", ".txt"),
}
"""Path below the repository root, and the function that makes its text."""


def main(argv: list[str]) -> int:
    """Write the generated files, or check them; returns the exit code."""
    check = argv == ["--check"]
    stale = []
    for name, make in GENERATED.items():
        path = ROOT / name
        text = make()
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {name}")
    if check and stale:
        print("not up to date (run `make update`): " + ", ".join(stale), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

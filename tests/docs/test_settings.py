"""Every setting of every service is in the reference."""

import ast
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings
from tests.docs.pages import ROOT
from tools.generate_settings import SETTINGS, names_of

READERS = ("BaseSettings", "FromEnvironment")
"""Base classes that read the environment; the second is the model API's own (decision 50)."""
REFERENCE = ROOT / "docs" / "reference"


def documented() -> str:
    return "\n".join(page.read_text() for page in sorted(REFERENCE.glob("*.md")))


def undocumented(settings: type[BaseSettings], text: str) -> list[str]:
    return [name for name in names_of(settings).values() if f"`{name}`" not in text]


@pytest.mark.parametrize("settings", [kind for _, _, kind in SETTINGS], ids=lambda s: s.__module__)
def test_every_setting_is_in_the_reference(settings: type[BaseSettings]) -> None:
    assert undocumented(settings, documented()) == []


def test_every_class_of_settings_is_in_the_reference() -> None:
    known = {f"{kind.__module__}.{kind.__name__}" for _, _, kind in SETTINGS}
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "services").glob("*/src/**/*.py")]
    found = {name for path in sources for name in classes(path)}
    assert found == known


def classes(path: Path) -> set[str]:
    """Full names of the classes of settings in a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = ".".join(parts[parts.index("src") + 1 :])
    return {
        f"{module}.{node.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id in READERS for base in node.bases)
    }


def test_a_setting_that_is_missing_would_be_seen() -> None:
    class Extra(BaseSettings):
        model_config = {"env_prefix": "EXTRA_"}
        speed: int = 1

    assert undocumented(Extra, documented()) == ["EXTRA_SPEED"]

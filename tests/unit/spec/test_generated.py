from pathlib import Path

import pytest
from tools import generate


def test_generated_files_are_up_to_date() -> None:
    assert generate.main(["--check"]) == 0


def test_a_stale_generated_file_fails_the_check_and_is_written_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "GENERATED", {"docs/page.md": lambda: "new"})
    assert generate.main(["--check"]) == 1
    assert "docs/page.md" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert (tmp_path / "docs/page.md").read_text() == "new"
    assert generate.main(["--check"]) == 0

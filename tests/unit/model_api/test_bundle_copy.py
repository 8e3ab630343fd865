"""``model-api bundle copy``: what an init container runs."""

import os
import tarfile
from pathlib import Path

import pytest
from tests.unit.model_api.support import linear_bundle

from sluice_model_api.bundle.archive import find_bundles, read_bundle
from sluice_model_api.cli import main


def copy(source: Path, registry: Path, digest: str) -> int:
    return main(["bundle", "copy", str(source), str(registry), "--digest", digest])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return linear_bundle(tmp_path / "image")


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "tar"])
def test_a_bundle_with_the_digest_is_put_into_the_registry(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, packed: bool
) -> None:
    digest = read_bundle(source).digest
    if packed:
        with tarfile.open(tmp_path / "bundle.tar.gz", "w:gz") as tar:
            tar.add(source, arcname=".")
        source = tmp_path / "bundle.tar.gz"
    assert copy(source, tmp_path / "models", digest) == 0
    (found,) = find_bundles(str(tmp_path / "models"))
    assert found == tmp_path / "models" / "tiny" / "1"
    assert read_bundle(found).digest == digest
    assert digest in capsys.readouterr().out


def test_another_digest_is_refused_and_nothing_is_written(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = "sha256:" + "0" * 64
    assert copy(source, tmp_path / "models", wanted) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert wanted in line
    assert str(source) in line
    assert not (tmp_path / "models").exists()


def test_a_changed_file_is_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = read_bundle(source).digest
    (source / "model.onnx").write_bytes(b"other weights")
    assert copy(source, tmp_path / "models", digest) == 1
    assert "model.onnx has digest" in capsys.readouterr().err


def test_a_second_run_leaves_what_is_there_alone(source: Path, tmp_path: Path) -> None:
    digest = read_bundle(source).digest
    assert copy(source, tmp_path / "models", digest) == 0
    model = tmp_path / "models" / "tiny" / "1" / "model.onnx"
    before = model.stat().st_ino
    assert copy(source, tmp_path / "models", digest) == 0
    assert model.stat().st_ino == before


def test_half_a_bundle_of_an_earlier_run_is_replaced(source: Path, tmp_path: Path) -> None:
    digest = read_bundle(source).digest
    half = tmp_path / "models" / "tiny" / "1"
    half.mkdir(parents=True)
    (half / "manifest.json").write_bytes(b"{}")
    assert copy(source, tmp_path / "models", digest) == 0
    assert read_bundle(half).digest == digest


def test_a_bundle_that_is_being_written_is_not_served(source: Path, tmp_path: Path) -> None:
    digest = read_bundle(source).digest
    assert copy(source, tmp_path / "models", digest) == 0
    linear_bundle(tmp_path / "models" / "tiny" / ".2.new", version="2")
    assert find_bundles(str(tmp_path / "models")) == [tmp_path / "models" / "tiny" / "1"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_registry_that_cannot_be_written_is_one_clear_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = tmp_path / "models"
    registry.mkdir(mode=0o500)
    assert copy(source, registry, read_bundle(source).digest) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_registry_that_is_a_file_is_one_clear_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").write_text("not a folder")
    assert copy(source, tmp_path / "models", read_bundle(source).digest) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_without_a_digest_nothing_is_copied(source: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["bundle", "copy", str(source), str(tmp_path / "models")])
    assert stop.value.code == 64

import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest
from tests.unit.model_api.support import linear_bundle, linear_onnx

from sluice_model_api.bundle.archive import find_bundles, read_bundle, sha256
from sluice_model_api.bundle.manifest import MANIFEST
from sluice_model_api.errors import BundleError
from sluice_model_api.model import Model


def edit(bundle: Path, change: Callable[[dict], object]) -> None:
    document = orjson.loads((bundle / MANIFEST).read_bytes())
    change(document)
    (bundle / MANIFEST).write_bytes(orjson.dumps(document))


def tar_of(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_a_whole_bundle_is_read_and_its_digest_is_that_of_the_manifest(tmp_path: Path) -> None:
    folder = linear_bundle(tmp_path / "b")
    bundle = read_bundle(folder)
    assert bundle.digest == sha256((folder / MANIFEST).read_bytes())
    assert read_bundle(folder, digest=bundle.digest).manifest.name == "tiny"


def test_a_bundle_with_another_digest_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"digest is sha256:.* expected sha256:0000"):
        read_bundle(linear_bundle(tmp_path / "b"), digest=f"sha256:{'0' * 64}")


def test_a_changed_byte_of_the_model_is_found(tmp_path: Path) -> None:
    folder = linear_bundle(tmp_path / "b")
    (folder / "model.onnx").write_bytes(linear_onnx() + b"x")
    with pytest.raises(BundleError, match=r"model\.onnx has digest"):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        pytest.param(
            lambda b: (b / "extra.txt").write_text("x"), "not in the manifest", id="extra"
        ),
        pytest.param(
            lambda b: (b / "m.pkl").write_bytes(b"x"), "pickle and joblib run code", id="pickle"
        ),
        pytest.param(lambda b: (b / "model.onnx").unlink(), "not in the bundle", id="missing"),
        pytest.param(
            lambda b: (b / MANIFEST).unlink(), "manifest.json is missing", id="no-manifest"
        ),
        pytest.param(lambda b: (b / MANIFEST).write_text("{"), "not valid JSON", id="bad-json"),
        pytest.param(
            lambda b: os.symlink("/etc/hostname", b / "link"), "link or device", id="link"
        ),
        pytest.param(lambda b: os.symlink("/etc", b / "dir"), "link or device", id="linked-folder"),
        pytest.param(lambda b: edit(b, lambda d: d.update(format=2)), "format", id="future-format"),
        pytest.param(
            lambda b: edit(b, lambda d: d.update(surprise=1)), "surprise", id="unknown-field"
        ),
        pytest.param(
            lambda b: edit(b, lambda d: d["inputs"][0].update(datatype="FP99")),
            "FP99",
            id="datatype",
        ),
        pytest.param(
            lambda b: edit(b, lambda d: d["inputs"][0].update(shape=[2, 4])),
            "rows first",
            id="shape",
        ),
        pytest.param(
            lambda b: edit(b, lambda d: d.update(name="../up")), "name", id="name-with-a-path"
        ),
        pytest.param(
            lambda b: edit(b, lambda d: d.update(model_file="model.pkl")),
            "model_file",
            id="pickle-as-model",
        ),
    ],
)
def test_a_damaged_or_unsafe_bundle_is_refused(
    tmp_path: Path, prepare: Callable[[Path], object], message: str
) -> None:
    folder = linear_bundle(tmp_path / "b")
    prepare(folder)
    with pytest.raises(BundleError, match=message):
        read_bundle(folder)


def test_a_pickle_named_like_a_model_is_refused_though_its_digest_is_right(tmp_path: Path) -> None:
    folder = linear_bundle(tmp_path / "b")
    content = pickle.dumps({"a": 1})
    (folder / "model.onnx").write_bytes(content)
    edit(folder, lambda d: d["files"].update({"model.onnx": sha256(content)}))
    with pytest.raises(BundleError, match="is a pickle"):
        read_bundle(folder)


def test_a_pickle_instead_of_a_bundle_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(b"x")
    with pytest.raises(BundleError, match="run code when they are read"):
        read_bundle(tmp_path / "model.joblib")


@pytest.mark.parametrize("name", ["../manifest.json", "/manifest.json", "a/../../m", "a\\b"])
def test_a_tar_with_a_path_that_leaves_it_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="leaves the bundle"):
        read_bundle(tar_of(tmp_path / "b.tar.gz", {name: b"{}"}))


def test_a_tar_with_a_link_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        link = tarfile.TarInfo("model.onnx")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(BundleError, match="link or device"):
        read_bundle(tmp_path / "b.tar")


def test_a_tar_gives_the_same_bundle_as_its_folder(tmp_path: Path) -> None:
    folder = linear_bundle(tmp_path / "b")
    members = {path.name: path.read_bytes() for path in folder.iterdir()}
    packed = read_bundle(tar_of(tmp_path / "b.tar.gz", members))
    assert packed.digest == read_bundle(folder).digest
    assert packed.model == linear_onnx()


def test_something_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(b"not a tar at all")
    with pytest.raises(BundleError, match="not a readable tar"):
        read_bundle(tmp_path / "b.tar")


def test_a_parity_sample_that_does_not_come_out_is_refused(tmp_path: Path) -> None:
    folder = linear_bundle(tmp_path / "b")
    edit(folder, lambda d: d["parity"]["outputs"].update(y=[1.5]))
    with pytest.raises(BundleError, match=r"parity failed.*1\.0.*1\.5"):
        Model(read_bundle(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda d: d["outputs"][0].update(name="z") or d["parity"].update(outputs={"z": [1]}),
            "names output 'z'",
            id="output-name",
        ),
        pytest.param(
            lambda d: d["outputs"][0].update(datatype="INT64"), "float32", id="output-type"
        ),
        pytest.param(
            lambda d: d["features"].update(id="unknown/1"), "unknown/1", id="feature-function"
        ),
        pytest.param(
            lambda d: d["features"].update(sha256=f"sha256:{'1' * 64}"),
            "build the bundle again",
            id="feature-code-changed",
        ),
        pytest.param(
            lambda d: d["inputs"][0].update(maximum=3), "parity sample", id="sample-breaks-contract"
        ),
        pytest.param(
            lambda d: d["inputs"][0].update(shape=[-1, 2]) or d["parity"].update(rows=2),
            "does not run",
            id="input-shape",
        ),
    ],
)
def test_a_manifest_that_does_not_describe_the_model_is_refused(
    tmp_path: Path, change: Callable[[dict], object], message: str
) -> None:
    folder = linear_bundle(tmp_path / "b")
    edit(folder, change)
    with pytest.raises(BundleError, match=message):
        Model(read_bundle(folder))


def test_bytes_that_are_no_onnx_are_refused_in_one_line(tmp_path: Path) -> None:
    folder = linear_bundle(tmp_path / "b")
    (folder / "model.onnx").write_bytes(b"garbage")
    edit(folder, lambda d: d["files"].update({"model.onnx": sha256(b"garbage")}))
    with pytest.raises(BundleError, match="not a usable ONNX model"):
        Model(read_bundle(folder))


def test_a_registry_gives_every_version_below_it(tmp_path: Path) -> None:
    for version in ("1", "2"):
        linear_bundle(tmp_path / "tiny" / version, version=version)
    assert find_bundles(str(tmp_path)) == [tmp_path / "tiny" / "1", tmp_path / "tiny" / "2"]


@pytest.mark.parametrize("text", ["", " , "])
def test_no_bundle_at_all_says_which_setting_is_missing(text: str) -> None:
    with pytest.raises(BundleError, match="MODEL_API_BUNDLE"):
        find_bundles(text)


def test_an_empty_folder_is_neither_bundle_nor_registry(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="neither a bundle"):
        find_bundles(str(tmp_path))


def test_scores_are_those_of_the_model(tmp_path: Path) -> None:
    model = Model(read_bundle(linear_bundle(tmp_path / "b")))
    x = np.array([[1, 2, 3, 4], [0, 0, 0, 4]], dtype=np.float32)
    assert model.score({"x": x})["y"].ravel().tolist() == [1.0, 1.0]

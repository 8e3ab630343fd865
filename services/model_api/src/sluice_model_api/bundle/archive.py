"""Reads bundles from folders and tars, whole and verified, without trusting a path in them."""

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sluice_model_api.bundle.manifest import MANIFEST, Manifest, parse_manifest
from sluice_model_api.errors import BundleError

PICKLES = (".pkl", ".pickle", ".joblib", ".bin", ".sav")
PICKLE_REASON = (
    "pickle and joblib run code when they are read; build a bundle from the fitted model "
    "(`model-api bundle build`), which writes ONNX or skops"
)
MAX_BYTES = 2 << 30
"""Largest bundle read, bytes: ONNX itself ends at 2 GiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle whose files have the digests that its manifest states."""

    origin: str
    """Path it was read from, for messages."""
    digest: str
    """``sha256:…`` of the manifest, which names the digest of every other file."""
    manifest: Manifest
    files: dict[str, bytes]
    """Every file but the manifest, by its path inside."""
    manifest_file: bytes = b""
    """The manifest as it was read: the digest is that of its bytes."""

    @property
    def model(self) -> bytes:
        return self.files[self.manifest.model_file]


def sha256(data: bytes) -> str:
    """Digest in the form used everywhere, ``sha256:<hex>``."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def read_bundle(path: Path, *, digest: str = "") -> Bundle:
    """Read a bundle into memory and verify every digest.

    Args:
        path: Folder with ``manifest.json``, or a tar (compressed or not) of one.
        digest: Expected digest of the bundle (``sha256:…``); empty accepts any.

    Raises:
        BundleError: not a bundle, an unsafe path, a pickle, or a digest that does not match.
    """
    if path.suffix.lower() in PICKLES:
        raise BundleError(f"{path}: refused: {PICKLE_REASON}")
    if path.is_dir():
        files = dict(_from_folder(path))
    elif path.is_file():
        files = dict(_from_tar(path))
    else:
        raise BundleError(f"{path}: no such bundle (a folder with {MANIFEST}, or a tar of one)")
    raw = files.pop(MANIFEST, None)
    if raw is None:
        raise BundleError(f"{path}: not a bundle: {MANIFEST} is missing")
    found = sha256(raw)
    if digest and found != digest:
        raise BundleError(f"{path}: digest is {found}, expected {digest}")
    manifest = parse_manifest(raw, str(path))
    _verify_files(files, manifest, path)
    return Bundle(origin=str(path), digest=found, manifest=manifest, files=files, manifest_file=raw)


def _verify_files(files: dict[str, bytes], manifest: Manifest, path: Path) -> None:
    for name in sorted(files.keys() | manifest.files.keys()):
        if name not in manifest.files:
            hint = f" ({PICKLE_REASON})" if Path(name).suffix.lower() in PICKLES else ""
            raise BundleError(f"{path}: {name} is not in the manifest{hint}")
        if name not in files:
            raise BundleError(f"{path}: {name} is in the manifest but not in the bundle")
        found = sha256(files[name])
        if found != manifest.files[name]:
            raise BundleError(
                f"{path}: {name} has digest {found}, the manifest says {manifest.files[name]}"
            )
    if files[manifest.model_file][:1] == b"\x80":
        # Protocol 2 and later pickles begin with PROTO; neither ONNX nor a skops zip can.
        raise BundleError(f"{path}: {manifest.model_file} is a pickle: {PICKLE_REASON}")


def safe_name(name: str) -> str:
    """The name, when it stays inside the bundle.

    Raises:
        BundleError: absolute, empty, or with a ``..`` in it.
    """
    pure = PurePosixPath(name)
    if not name or pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
        raise BundleError(f"path {name!r} leaves the bundle")
    return str(pure)


def _from_folder(root: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    for folder, folders, names in os.walk(root):
        for name in sorted([*folders, *names]):
            path = Path(folder) / name
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                continue
            inside = path.relative_to(root).as_posix()
            if not stat.S_ISREG(mode):
                raise BundleError(f"{root}: {inside} is a link or device; bundles hold files only")
            total += path.stat().st_size
            if total > MAX_BYTES:
                raise BundleError(f"{root}: larger than {MAX_BYTES} bytes")
            yield safe_name(inside), path.read_bytes()


def _from_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isdir():
                    safe_name(member.name)
                    continue
                if not member.isfile():
                    raise BundleError(
                        f"{path}: {member.name} is a link or device; bundles hold files only"
                    )
                name = safe_name(member.name)
                total += member.size
                if total > MAX_BYTES:
                    raise BundleError(f"{path}: larger than {MAX_BYTES} bytes")
                content = tar.extractfile(member)
                yield name, content.read() if content else b""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BundleError(f"{path}: not a readable tar: {error}") from error


def find_bundles(text: str) -> list[Path]:
    """The bundles that a setting names, in order.

    Args:
        text: Comma-separated paths; each is a bundle or a registry (``name/version/`` folders).

    Raises:
        BundleError: nothing there.
    """
    found: list[Path] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        path = Path(part)
        if not path.is_dir() or (path / MANIFEST).exists():
            found.append(path)
            continue
        folders = (manifest.parent for manifest in path.glob(f"*/*/{MANIFEST}"))
        # A bundle that is being written lies beside its place under a name with a dot.
        inside = sorted(folder for folder in folders if not folder.name.startswith("."))
        inside += sorted(path.glob("*/*.tar*"))
        if not inside:
            raise BundleError(
                f"{path}: neither a bundle ({MANIFEST}) nor a registry (name/version/{MANIFEST})"
            )
        found.extend(inside)
    if not found:
        raise BundleError("no bundle given: set MODEL_API_BUNDLE to a bundle or a registry")
    return found

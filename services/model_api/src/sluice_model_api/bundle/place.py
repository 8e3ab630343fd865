"""Puts a bundle into a registry whole: a reader finds all of it, or what was there before."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from sluice_model_api.bundle.archive import Bundle, read_bundle
from sluice_model_api.bundle.manifest import MANIFEST
from sluice_model_api.errors import BundleError


def copy_bundle(source: Path, registry: Path, *, digest: str) -> Bundle:
    """Verify a bundle and put it into a registry, for an init container.

    Done before is done: what is there with this digest is left alone, so that a container that is
    started again changes nothing under a server that reads.

    Args:
        source: Folder or tar.
        registry: Folder, such as a volume's; the bundle goes to ``registry/name/version``.
        digest: Digest that it must have, ``sha256:…``.

    Returns:
        The bundle in its new place, read again from there.

    Raises:
        BundleError: it must not be served, is another one, or cannot be written.
    """
    bundle = read_bundle(source, digest=digest)
    folder = registry / bundle.manifest.name / bundle.manifest.version
    if (folder / MANIFEST).exists():
        try:
            return read_bundle(folder, digest=digest)
        except BundleError:
            pass  # another version of the model, or half of one: replaced below
    try:
        write_bundle(folder, {**bundle.files, MANIFEST: bundle.manifest_file})
    except OSError as error:
        raise BundleError(f"{folder}: cannot be written: {error.strerror}") from error
    return read_bundle(folder, digest=digest)


def write_bundle(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write beside and swap in, so that a reader never meets half a bundle.

    Raises:
        OSError: the folder cannot be written.
    """
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, content in files.items():
        target = fresh / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    if folder.exists():
        shutil.rmtree(folder)
    fresh.replace(folder)

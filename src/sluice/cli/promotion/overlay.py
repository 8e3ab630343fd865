"""The same change as a file for Git: a kustomize component beside an overlay's own files."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sluice.cli.promotion.evidence import EVIDENCE, Evidence
from sluice.cli.promotion.source import Source
from sluice.cli.promotion.target import differences, template_for
from sluice.errors import RefusedError, StateError

COMPONENT = "promoted"
KUSTOMIZATION = "kustomization.yaml"
HEAD = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}

Object = dict[str, Any]


def write_overlay(folder: Path, source: Source, evidence: Evidence) -> list[str]:
    """Write the component, and name it in the overlay's kustomization if it is not yet.

    Args:
        folder: Of the overlay.
        source: What is carried.
        evidence: For it.

    Returns:
        What was written, one line a file.

    Raises:
        StateError: the folder is no overlay, cannot be written, or there is no kubectl to build it.
        RefusedError: the overlay does not become what was carried; everything is as it was.
    """
    kustomization, component = folder / KUSTOMIZATION, folder / COMPONENT / KUSTOMIZATION
    try:
        before = {path: _content(path) for path in (kustomization, component)}
        text = before[kustomization]
        if text is None:
            raise StateError(f"{folder} is no overlay: it has no {KUSTOMIZATION}")
        named = with_component(text, str(kustomization))
        try:
            # built without what an earlier promotion wrote, so that places in lists are its own
            component.parent.mkdir(exist_ok=True)
            component.write_text(_nothing(evidence.release), encoding="utf-8")
            kustomization.write_text(named, encoding="utf-8")
            target = _release(folder, evidence.release)
            component.write_text(component_text(target, source, evidence), encoding="utf-8")
            _verify(_release(folder, evidence.release), target, source, evidence, folder)
        except BaseException:
            _restore(before)
            raise
    except OSError as error:
        raise StateError(f"{error.filename or folder}: {error.strerror or error}") from error
    lines = [f"wrote {component}"]
    return [*lines, f"named it in {kustomization}"] if named != text else lines


def component_text(target: Mapping[str, Any], source: Source, evidence: Evidence) -> str:
    """The component.

    Args:
        target: The overlay's Release without it.
        source: What is carried.
        evidence: For it.
    """
    operations = differences(target["spec"]["template"], template_for(target, source))
    if source.model_digest is not None:
        model = {"digest": source.model_digest}
        operations.append({"op": "add", "path": "/spec/model", "value": model})
    elif target["spec"].get("model") is not None:
        operations.append({"op": "remove", "path": "/spec/model"})
    noted = {
        "apiVersion": target["apiVersion"],
        "kind": "Release",
        "metadata": {"name": evidence.release, "annotations": {EVIDENCE: evidence.short()}},
    }
    chosen = {"kind": "Release", "name": evidence.release}
    patches = [
        {"target": chosen, "patch": yaml.safe_dump(part, sort_keys=False, width=10_000)}
        for part in (operations, noted)
        if part
    ]
    head = (
        f"# Written by `sluice promote-to {evidence.carried_to}`: {evidence.release} revision "
        f"{evidence.revision},\n# as it was promoted in {evidence.environment}. Commit it; the "
        "next promotion writes it anew.\n"
    )
    return head + yaml.dump({**HEAD, "patches": patches}, Dumper=_Blocks, sort_keys=False)


def _nothing(name: str) -> str:
    """A component that changes nothing: kustomize refuses an empty one."""
    test = yaml.safe_dump([{"op": "test", "path": "/kind", "value": "Release"}])
    patches = [{"target": {"kind": "Release", "name": name}, "patch": test}]
    return yaml.safe_dump({**HEAD, "patches": patches})


def with_component(text: str, name: str) -> str:
    """A kustomization that names the component; everything else stays as it is written.

    Raises:
        StateError: it cannot be read, or lists its components on one line.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StateError(f"{name} is no YAML: {error}") from error
    known = content.get("components") if isinstance(content, Mapping) else None
    if COMPONENT in (known or ()):
        return text
    if not known:
        return f"{text.rstrip()}\ncomponents:\n- {COMPONENT}\n"
    last = re.compile(rf"^( *)- {re.escape(str(known[-1]))} *(#.*)?$", re.MULTILINE)
    found = last.search(text, text.index("components:"))
    if found is None:
        raise StateError(f"add `- {COMPONENT}` to the components of {name}, and ask again")
    return f"{text[: found.end()]}\n{found.group(1)}- {COMPONENT}{text[found.end() :]}"


class _Blocks(yaml.SafeDumper):
    """Text of several lines as a block, and nothing by reference: to be read in a review."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Blocks.add_representer(str, _text)


def _release(folder: Path, name: str) -> Object:
    try:
        done = subprocess.run(
            ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise StateError("--write builds the overlay with kubectl, and there is none") from error
    if done.returncode:
        raise RefusedError(f"{folder} does not build: {done.stderr.strip()}")
    for item in yaml.safe_load_all(done.stdout):
        kind = item.get("kind") if isinstance(item, dict) else None
        if kind == "Release" and item["metadata"]["name"] == name:
            return dict(item)
    raise RefusedError(f"{folder} builds no Release {name}")


def _verify(
    built: Object, target: Object, source: Source, evidence: Evidence, folder: Path
) -> None:
    """What an overlay sets itself wins over its components: then nothing would be carried."""
    odd = []
    if built["spec"]["template"] != template_for(target, source):
        odd.append("the pod template")
    if (built["spec"].get("model") or {}).get("digest") != source.model_digest:
        odd.append("spec.model.digest")
    if (built["metadata"].get("annotations") or {}).get(EVIDENCE) != evidence.short():
        odd.append(f"annotation {EVIDENCE}")
    if odd:
        raise RefusedError(
            f"{folder} sets {' and '.join(odd)} itself (images, patches, labels): what is carried "
            "must not be written there; nothing was changed"
        )


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _restore(before: Mapping[Path, str | None]) -> None:
    for path, text in before.items():
        if text is not None:
            path.write_text(text, encoding="utf-8")
        elif path.exists():
            path.unlink()
            path.parent.rmdir()

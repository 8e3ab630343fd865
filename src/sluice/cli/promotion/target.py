"""What becomes of the release of the next environment: its own template, with what was proven."""

import copy
from collections.abc import Mapping
from typing import Any

from sluice.cli.promotion.source import LISTS, Source, images_of
from sluice.errors import RefusedError

VERSION_LABEL = "app.kubernetes.io/version"
"""What people call a revision; it is shown wherever the revision is."""

Object = dict[str, Any]


def template_for(target: Mapping[str, Any], source: Source) -> Object:
    """The target's pod template with the images and the model of the source.

    Everything else is the environment's own and stays: replicas, resources, other variables.

    Args:
        target: The Release of the next environment.
        source: What is carried.

    Raises:
        RefusedError: the two have different containers.
    """
    theirs = images_of(target)
    if set(theirs) != set(source.images):
        raise RefusedError(
            f"{target['metadata']['name']} runs {', '.join(sorted(source.images))} in "
            f"{source.namespace} and {', '.join(sorted(theirs))} in the next environment: an image "
            "is carried to the container of the same name"
        )
    template: Object = copy.deepcopy(target["spec"]["template"])
    ours = source.release["spec"]["template"]
    for part in LISTS:
        proven = {item["name"]: item for item in ours["spec"].get(part) or ()}
        for item in template["spec"].get(part) or ():
            if item.get("image"):
                item["image"] = source.images[item["name"]]
                _carry_variables(item, proven.get(item["name"], {}), source.model_env)
    version = ((ours.get("metadata") or {}).get("labels") or {}).get(VERSION_LABEL)
    if version is not None:
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels[VERSION_LABEL] = version
    return template


def _carry_variables(item: Object, proven: Mapping[str, Any], names: tuple[str, ...]) -> None:
    given = {entry["name"]: entry for entry in proven.get("env") or () if entry["name"] in names}
    env = [
        given.pop(entry["name"], None) if entry["name"] in names else entry
        for entry in item.get("env") or ()
    ]
    env = [entry for entry in env if entry is not None] + list(given.values())
    if env or "env" in item:
        item["env"] = env


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Object]:
    """The way from one template to the other as JSON patch operations on a Release.

    Lists of containers and variables are changed entry by entry, each after a test that it is
    still the one that is meant.
    """
    found: list[Object] = []
    label = _label(after)
    if label is not None and label != _label(before):
        path = "/spec/template/metadata/labels/" + VERSION_LABEL.replace("/", "~1")
        found.append({"op": "add", "path": path, "value": label})
    for part in LISTS:
        there = before["spec"].get(part) or ()
        for place, (old, new) in enumerate(zip(there, after["spec"].get(part) or (), strict=True)):
            at = f"/spec/template/spec/{part}/{place}"
            changes = _image(at, old, new) + _variables(at, old.get("env"), new.get("env"))
            if changes:
                test = {"op": "test", "path": f"{at}/name", "value": new["name"]}
                found += [test, *changes]
    return found


def _label(template: Mapping[str, Any]) -> Any:
    return ((template.get("metadata") or {}).get("labels") or {}).get(VERSION_LABEL)


def _image(at: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Object]:
    if old.get("image") == new.get("image"):
        return []
    return [{"op": "add", "path": f"{at}/image", "value": new["image"]}]


def _variables(at: str, old: Any, new: Any) -> list[Object]:
    before, after = old or [], {entry["name"]: entry for entry in new or []}
    found: list[Object] = []
    if old is None and new:
        return [{"op": "add", "path": f"{at}/env", "value": new}]
    gone = []
    for place, entry in enumerate(before):
        path, wanted = f"{at}/env/{place}", after.get(entry["name"])
        test = {"op": "test", "path": f"{path}/name", "value": entry["name"]}
        if wanted is None:
            gone += [{"op": "remove", "path": path}, test]
        elif wanted != entry:
            found += [test, {"op": "replace", "path": path, "value": wanted}]
    known = {entry["name"] for entry in before}
    added = [entry for entry in after.values() if entry["name"] not in known]
    found += [{"op": "add", "path": f"{at}/env/-", "value": entry} for entry in added]
    # from the end, so that the places of those before stay what they are
    return found + gone[::-1]

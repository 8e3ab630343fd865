"""The CustomResourceDefinitions, as plain objects and as templates of the chart."""

from typing import Any

import yaml

from tools.crd import status
from tools.crd.structural import name_of, spec_of

HEAD = "# Made from the models by `make update`.\n"
VERSION = "v1alpha1"


def release() -> dict[str, Any]:
    """``releases.sluice.dev``."""
    version = _version(
        "Release",
        "One served model: what runs, how it is reached, how a new revision becomes stable.",
        status=status.RELEASE,
        columns=[
            ("Phase", ".status.phase", "Where the release stands"),
            ("Stage", ".status.stage", "Where the candidate is in the plan"),
            ("Weight", ".status.weight", "The candidate's share of live requests"),
            ("Stable", ".status.stable", "The revision that users have"),
            ("Candidate", ".status.candidate", "The revision that is on its way"),
            ("Verdict", ".status.verdict", "What the checks say"),
            ("Message", ".status.message", "Why it is where it is"),
        ],
        wide=("Message",),
    )
    version["subresources"] = {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }
    return _definition("Release", "releases", "rel", version)


def policy() -> dict[str, Any]:
    """``releasepolicies.sluice.dev``."""
    version = _version(
        "ReleasePolicy",
        "How releases are judged; several releases can share one.",
        columns=[
            ("Deadline", ".spec.deadline", "Time for a stage to be decided"),
            ("MinBake", ".spec.minBake", "Least time of evidence before promotion"),
        ],
    )
    return _definition("ReleasePolicy", "releasepolicies", "rp", version)


def template(definition: dict[str, Any]) -> str:
    """A definition as a template of the chart ``sluice``."""
    annotations = "  annotations:\n    helm.sh/resource-policy: keep\n"
    text = _escaped(_yaml(definition)).replace("metadata:\n", f"metadata:\n{annotations}", 1)
    return f"{HEAD}{{{{- if .Values.crds.install }}}}\n{text}{{{{- end }}}}\n"


def _escaped(text: str) -> str:
    """Braces that Helm would read as its own."""
    return text.replace("{{", '{{ "{{" }}')


def _yaml(definition: dict[str, Any]) -> str:
    return yaml.dump(definition, Dumper=_Plain, sort_keys=False, width=100)


class _Plain(yaml.SafeDumper):
    """Without anchors: a schema that is used twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _version(
    kind: str,
    words: str,
    *,
    columns: list[tuple[str, str, str]],
    status: dict[str, Any] | None = None,
    wide: tuple[str, ...] = (),
) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": name_of(kind),
        "spec": spec_of(kind),
    }
    if status is not None:
        properties["status"] = status
    shown = [
        {
            "name": name,
            "type": "string",
            "jsonPath": path,
            "description": meaning,
            **({"priority": 1} if name in wide else {}),
        }
        for name, path, meaning in columns
    ]
    age = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    schema = {
        "description": words,
        "type": "object",
        "required": ["spec"],
        "properties": properties,
    }
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [*shown, age],
        "schema": {"openAPIV3Schema": schema},
    }


def _definition(kind: str, plural: str, short: str, version: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.sluice.dev"},
        "spec": {
            "group": "sluice.dev",
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["sluice"],
            },
            "versions": [version],
        },
    }

"""What is made from the charts' values and lists: their schemas, and the reference page."""

import json
from pathlib import Path
from typing import Any

import yaml

from sluice.spec import schema_of
from tools.chart_values import DEFS, Value, flat, read, schema

ROOT = Path(__file__).resolve().parent.parent
CHARTS = ROOT / "charts"
NAMES = ("sluice", "model-api")

_HEAD = """\
# The charts

<!-- written by `make update` from the charts themselves; do not edit -->

`charts/sluice` brings the controller, the router and the custom resources; `charts/model-api` runs
any model API, as a plain Deployment or as a Release. Every value is in the chart's
`values.schema.json`, so that a typo fails the install and is named. How to use them:
[install](../how-to/install.md), [Helm only](../how-to/helm-only.md),
[GitOps](../how-to/gitops.md).
"""
_RIGHTS = """\
## Rights

What each service account may do, and nothing else: tests compare these tables with
`kubectl auth can-i --list`. *Watched* rights hold in the whole cluster, or only in the namespaces
of `watchNamespaces`; *own* ones in the chart's namespace. No right is over an object without a
namespace. The router's token is mounted in the agent alone: Envoy has none.
"""
_WHEN = {
    "readSecrets": "only with `rbac.readSecrets`",
    "gateway": "only with `dataPlane: gateway`",
}


def values_schema(name: str) -> str:
    """The text of a chart's ``values.schema.json``."""
    values = read(CHARTS / name / "values.yaml")
    definitions = {**DEFS, **_documents()} if name == "model-api" else DEFS
    made = schema(values, title=f"Values of the chart {name}", definitions=definitions)
    return json.dumps(made, indent=2) + "\n"


def _documents() -> dict[str, Any]:
    """What a Release says, so that Helm refuses what the API server would refuse later."""
    slo = schema_of("SLO")
    found: dict[str, Any] = {}
    for kind in ("Release", "ReleasePolicy", "SLO"):
        found |= schema_of(kind)["$defs"]
    # values are merged, so one of several strategies is chosen by a check of the chart instead
    found["Strategy"] = {k: v for k, v in found["Strategy"].items() if k != "oneOf"}
    found["OpenSLO"] = {k: v for k, v in slo.items() if k not in ("$schema", "$defs")}
    return {**found, "slos": {"type": "array", "items": {"$ref": "#/$defs/OpenSLO"}}}


def page() -> str:
    """The text of ``docs/reference/charts.md``."""
    parts = [_HEAD]
    for name in NAMES:
        if (CHARTS / name).exists():
            parts += [f"## Values of {name}\n", _table(read(CHARTS / name / "values.yaml"))]
    parts += [_RIGHTS, _accounts(), _users()]
    return "\n".join(parts)


def rights() -> dict[str, Any]:
    """The list that the roles are made from; see its own head."""
    found: dict[str, Any] = yaml.safe_load((CHARTS / "sluice/files/rbac.yaml").read_text())
    return found


def _table(values: tuple[Value, ...]) -> str:
    rows = ["| value | meaning | default |", "|---|---|---|"]
    for value in flat(values):
        default = "" if value.children else f"`{_flow(value.default)}`"
        rows.append(_row(f"`{value.path}`", value.meaning, default))
    return "\n".join(rows) + "\n"


def _flow(value: Any) -> str:
    if value == "":
        return '""'
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n...\n").strip()


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _accounts() -> str:
    rows = ["| account | where | group | resources | verbs | why |", "|---|---|---|---|---|---|"]
    for account in ("controller", "router"):
        for place, rules in rights()[account].items():
            for rule in rules:
                when = _WHEN.get(rule.get("when", ""))
                why = f"{rule['why']} ({when})" if when else rule["why"]
                rows.append(_row(account, place, *_rule(rule), why))
    return "\n".join(rows) + "\n"


def _users() -> str:
    rows = [
        "### People\n",
        "The chart adds to the cluster's own roles, so that whoever may edit Deployments in a "
        "namespace may release there:\n",
        "| role | group | resources | verbs | for |",
        "|---|---|---|---|---|",
    ]
    for role, rules in rights()["users"].items():
        rows += [_row(f"`{role}`", *_rule(rule), rule["why"]) for rule in rules]
    return "\n".join(rows) + "\n"


def _rule(rule: dict[str, Any]) -> tuple[str, str, str]:
    groups = ", ".join(group or "core" for group in rule["groups"])
    return groups, ", ".join(rule["resources"]), ", ".join(rule["verbs"])

"""Alerts and the dashboard ask only for what is there, in a language that Prometheus reads."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.support import CHARTS, ROOT, named, of_kind, render

VALUES = str(CHARTS / "sluice" / "ci" / "monitoring-values.yaml")
SOURCES = ("src/sluice/agent/exposition.py", "src/sluice/cluster/gauges.py", "src/sluice/cluster")
METRIC = re.compile(r"\bsluice_[a-z_]+\b")
SUFFIX = re.compile(r"_(total|bucket|count|sum)$")


def exported() -> set[str]:
    """Names of metrics in the sources of agent and controller, without their suffixes."""
    files: list[Path] = []
    for source in SOURCES:
        path = ROOT / source
        files += path.glob("*.py") if path.is_dir() else [path]
    found = {name for path in files for name in METRIC.findall(path.read_text())}
    return {SUFFIX.sub("", name) for name in found}


def asked(text: str) -> set[str]:
    # recorded by the rules themselves
    text = re.sub(r"sluice_release:\S+", "", text)
    return {SUFFIX.sub("", name) for name in METRIC.findall(text)}


def rules() -> dict[str, Any]:
    spec: dict[str, Any] = named(render("sluice", "-f", VALUES), "PrometheusRule", "sluice-alerts")[
        "spec"
    ]
    return spec


def dashboard() -> dict[str, Any]:
    found = named(render("sluice", "-f", VALUES), "ConfigMap", "sluice-dashboard")
    loaded: dict[str, Any] = json.loads(found["data"]["sluice.json"])
    return loaded


def expressions() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]


def test_everything_asked_for_is_exported() -> None:
    text = "\n".join([*expressions(), json.dumps(rules())])
    assert asked(text) - exported() == set()
    assert len(asked(text)) >= 10


def test_a_metric_that_is_not_there_would_be_seen() -> None:
    assert asked("rate(sluice_nothing_total[5m])") - exported() == {"sluice_nothing"}


def test_rules_are_read_by_promtool(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: part of Prometheus")
    path = tmp_path / "rules.yaml"
    # a panel's query is a rule as far as its syntax goes
    panels = [
        {"record": f"panel:{number}", "expr": re.sub(r"\[\$__\w+\]", "[5m]", text)}
        for number, text in enumerate(expressions())
    ]
    groups = [*rules()["groups"], {"name": "panels", "rules": panels}]
    path.write_text(yaml.safe_dump({"groups": groups}))
    done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_say_what_is_wrong_and_what_to_do() -> None:
    alerts = [rule for group in rules()["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(alerts) >= 9
    for alert in alerts:
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert alert["labels"]["team"] == "ml"
        assert alert["annotations"].keys() == {"summary", "description"}


def test_the_objective_sets_the_burn_rates() -> None:
    alerts = [rule for group in rules()["groups"] for rule in group["rules"] if "alert" in rule]
    fast = next(rule for rule in alerts if rule["labels"].get("window") == "1h")
    assert "> 0.0144 and" in fast["expr"]


def test_panels_have_words_and_places_of_their_own() -> None:
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    assert all(panel["description"] for panel in panels)
    cells = [
        (x, y)
        for panel in dashboard()["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_nothing_of_it_is_there_by_default() -> None:
    objects = render("sluice")
    assert of_kind(objects, "ServiceMonitor", "PrometheusRule", "ConfigMap") == []


def test_monitors_choose_services_that_are_there() -> None:
    objects = render("sluice", "-f", VALUES)
    services = of_kind(objects, "Service")
    for monitor in of_kind(objects, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        chosen = [item for item in services if wanted <= item["metadata"]["labels"].items()]
        ports = {port["name"] for item in chosen for port in item["spec"]["ports"]}
        assert {end["port"] for end in monitor["spec"]["endpoints"]} == ports

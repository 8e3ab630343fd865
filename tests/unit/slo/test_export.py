import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.cli.conftest import Run

from sluice.slo.alerts import BURNS, WINDOWS, burn_rate, record_name, rule_groups, window_days
from sluice.slo.export import k6, pyrra, sloth
from sluice.spec import load
from sluice.spec.slo import SLO

SLOS = load([Path(__file__).parents[3] / "examples" / "taxi" / "slo.yaml"]).slos
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus"
)


def promtool(*words: str) -> "subprocess.CompletedProcess[str]":
    assert PROMTOOL is not None
    return subprocess.run([PROMTOOL, *words], capture_output=True, text=True)


def test_burn_rates_are_those_of_the_workbook() -> None:
    assert [round(burn_rate(burn, 30), 6) for burn in BURNS] == [14.4, 6, 3, 1]
    assert {burn.long for burn in BURNS} | {burn.short for burn in BURNS} == set(WINDOWS)


def test_rates_follow_the_window_of_the_slo() -> None:
    week = SLO.model_validate(
        {**SLOS[0].model_dump(by_alias=True), "spec": _spec(SLOS[0], timeWindow="7d")}
    )
    assert window_days(week) == 7
    assert round(burn_rate(BURNS[0], window_days(week)), 3) == 3.36


def _spec(slo: SLO, *, timeWindow: str) -> dict[str, Any]:  # noqa: N803  # OpenSLO's name
    spec = slo.spec.model_dump(by_alias=True, exclude_none=True)
    return {**spec, "timeWindow": [{"duration": timeWindow}]}


@needs_promtool
def test_promtool_finds_no_fault_in_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rule_groups(SLOS)))
    done = promtool("check", "rules", str(path))
    assert done.returncode == 0, done.stderr
    assert "22 rules found" in done.stdout


@needs_promtool
def test_promtool_would_see_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    rules = rule_groups(SLOS)
    rules["groups"][0]["rules"][0]["expr"] += " / sum("
    path.write_text(yaml.safe_dump(rules))
    assert promtool("check", "rules", str(path)).returncode != 0


def _series(bad_each_minute: int, good_each_minute: int, minutes: int) -> list[dict[str, str]]:
    labels = 'release="taxi",revision="a",purpose="live"'
    buckets = "sluice_request_duration_milliseconds_bucket"
    both = good_each_minute + bad_each_minute
    return [
        {
            "series": f'sluice_requests_total{{{labels},code_class="5xx"}}',
            "values": f"0+{bad_each_minute}x{minutes}",
        },
        {
            "series": f'sluice_requests_total{{{labels},code_class="2xx"}}',
            "values": f"0+{good_each_minute}x{minutes}",
        },
        {
            "series": f'{buckets}{{{labels},le="300"}}',
            "values": f"0+{good_each_minute}x{minutes}",
        },
        {"series": f'{buckets}{{{labels},le="+Inf"}}', "values": f"0+{both}x{minutes}"},
    ]


@needs_promtool
@pytest.mark.parametrize(
    ("bad", "fires"),
    [pytest.param(5, False, id="half-the-budget"), pytest.param(200, True, id="twenty-times")],
)
def test_alerts_fire_and_stay_quiet_as_they_should(bad: int, fires: bool, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule_groups(SLOS)))
    expected = []
    if fires:
        for burn in BURNS:
            for slo in sorted(SLOS, key=lambda slo: slo.name):
                alert = next(
                    rule
                    for group in rule_groups([slo])["groups"]
                    for rule in group["rules"]
                    if rule.get("labels", {}).get("window") == burn.long
                )
                expected.append(
                    {"exp_labels": alert["labels"], "exp_annotations": alert["annotations"]}
                )
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": _series(bad, 1000 - bad, 400),
                "alert_rule_test": [
                    {
                        "eval_time": "6h30m",
                        "alertname": "SluiceErrorBudgetBurn",
                        "exp_alerts": expected,
                    }
                ],
            }
        ],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(test))
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_clients_that_gave_up_are_bad_in_alerts_as_in_checks() -> None:
    expression = rule_groups(SLOS)["groups"][0]["rules"][0]["expr"]
    assert 'code_class=~"5xx|none"' in expression
    assert record_name("5m") == "sluice_slo:bad_share:ratio_rate5m"


def test_sloth_has_one_document_for_each_service_with_its_window_left_open() -> None:
    (document,) = sloth(SLOS, "x")
    assert document["version"] == "prometheus/v1"
    assert [slo["objective"] for slo in document["slos"]] == [99, 99]
    assert "[{{.window}}]" in document["slos"][0]["sli"]["events"]["error_query"]


def test_pyrra_has_a_ratio_and_a_latency_indicator() -> None:
    first, second = pyrra(SLOS, "x")
    assert first["spec"]["window"] == "720h"
    assert set(first["spec"]["indicator"]) == {"ratio"}
    assert 'le="300"' in second["spec"]["indicator"]["latency"]["success"]["metric"]


def test_k6_thresholds_read_back_as_the_same_objectives() -> None:
    from sluice.spec.thresholds import objective_of_threshold

    (document,) = k6(SLOS, "x")
    texts = [text for found in document["thresholds"].values() for text in found]
    back = [objective_of_threshold(text) for text in texts]
    assert [(o.kind, o.target, o.threshold_ms) for o in back] == [
        (s.sli, s.target, s.threshold_ms) for s in SLOS
    ]


@pytest.mark.parametrize("to", ["prometheusrule", "sloth", "pyrra", "k6"])
def test_every_format_is_yaml_on_stdout(sluice: Run, to: str) -> None:
    slo = str(Path(__file__).parents[3] / "examples" / "taxi" / "slo.yaml")
    ran = sluice("slo", "export", "-f", slo, "--to", to)
    assert ran.code == 0
    assert all(isinstance(item, dict) for item in yaml.safe_load_all(ran.out))
    assert "&id" not in ran.out


def test_rules_only_belongs_to_prometheus(sluice: Run) -> None:
    slo = str(Path(__file__).parents[3] / "examples" / "taxi" / "slo.yaml")
    ran = sluice("slo", "export", "-f", slo, "--to", "k6", "--rules-only")
    assert ran.code == 64
    assert "--to prometheusrule" in ran.err

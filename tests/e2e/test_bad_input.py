"""What the real command says to bad input: its exit code, a clear line, and nothing applied."""

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.e2e.conftest import TINY

from sluice.testing.laptop import Laptop, Ran
from sluice.testing.story import Story

pytestmark = pytest.mark.timeout(180)

USAGE, NOTHING_THERE, REFUSED = 64, 69, 1


def _release(laptop: Laptop, **spec: Any) -> dict[str, Any]:
    document = Story(laptop=laptop, model=TINY).document("v1", {})
    document["spec"].update(spec)
    return document


def _write(laptop: Laptop, text: str) -> str:
    path = laptop.folder / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    return path.name


def _said(ran: Ran, code: int, *words: str) -> None:
    assert ran.code == code, (ran.out, ran.err)
    for word in words:
        assert word in ran.err
    assert "Traceback" not in ran.err


# --- files, without anything running ---


def test_malformed_yaml_is_named_with_its_line(laptop: Laptop) -> None:
    file = _write(laptop, "apiVersion: sluice.dev/v1alpha1\nkind: [Release\n")
    _said(laptop.sluice("lint", "-f", file), USAGE, "bad.yaml:", "nothing was applied")


def test_unknown_field_comes_with_the_field_that_was_meant(laptop: Laptop) -> None:
    document = _release(laptop)
    document["spec"]["replcas"] = document["spec"].pop("replicas")
    file = _write(laptop, yaml.safe_dump(document))
    _said(laptop.sluice("lint", "-f", file), USAGE, "bad.yaml:", "spec.replcas", "replicas")


def test_falling_weights_and_steps_over_a_hundred_are_all_listed(laptop: Laptop) -> None:
    steps = [{"setWeight": 20}, {"setWeight": 10}, {"setWeight": 120}]
    file = _write(laptop, yaml.safe_dump(_release(laptop, strategy={"canary": {"steps": steps}})))
    ran = laptop.sluice("lint", "-f", file)
    _said(ran, USAGE, "2 faults", "steps[1].setWeight", "10 falls below", "steps[2].setWeight")


def test_file_that_is_not_there_is_named(laptop: Laptop) -> None:
    _said(laptop.sluice("lint", "-f", "none.yaml"), USAGE, "none.yaml", "no such file")


# --- nothing running ---


def test_verb_without_a_supervisor_says_how_to_start_one(laptop: Laptop) -> None:
    _said(laptop.sluice("abort", "taxi"), NOTHING_THERE, "sluice up")


def test_port_in_use_is_named_and_nothing_stays_behind(laptop: Laptop) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", laptop.port))
        taken.listen()
        ran = laptop.sluice("up", "--port", str(laptop.port))
    _said(ran, NOTHING_THERE, str(laptop.port))
    assert laptop.processes() == []
    assert laptop.supervisor() is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into any folder")
def test_state_folder_that_cannot_be_written_is_named(laptop: Laptop) -> None:
    laptop.folder.chmod(0o500)
    try:
        ran = laptop.sluice("up", "--port", str(laptop.port))
    finally:
        laptop.folder.chmod(0o700)
    _said(ran, NOTHING_THERE, ".sluice", "--dir")


def test_state_folder_where_nobody_may_write_is_named(laptop: Laptop) -> None:
    ran = laptop.sluice("up", "--port", str(laptop.port), "--dir", "/sys/sluice")
    _said(ran, NOTHING_THERE, "/sys/sluice", "--dir")


def test_state_folder_below_a_file_is_named(laptop: Laptop) -> None:
    laptop.state.write_text("a file", encoding="utf-8")
    ran = laptop.sluice("up", "--port", str(laptop.port))
    _said(ran, NOTHING_THERE, ".sluice", "--dir")


# --- a supervisor that runs ---


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """One supervisor for all stories below: none of them may change anything."""
    with Laptop(tmp_path_factory.mktemp("running")) as machine:
        machine.up()
        yield machine


def test_second_up_says_that_it_runs_already(running: Laptop) -> None:
    pid = running.supervisor()
    ran = running.sluice("up")
    assert ran.code == 0
    assert "already running" in ran.out
    assert running.supervisor() == pid


def test_second_up_on_another_port_is_refused(running: Laptop) -> None:
    pid = running.supervisor()
    _said(running.sluice("up", "--port", "1"), REFUSED, running.url, "sluice down")
    assert running.supervisor() == pid


def test_verb_on_an_unknown_release_says_so(running: Laptop) -> None:
    _said(running.sluice("abort", "nobody"), NOTHING_THERE, "no release 'nobody'")


def test_verb_without_any_release_says_how_to_make_one(running: Laptop) -> None:
    _said(running.sluice("promote"), NOTHING_THERE, "sluice deploy")


def test_deploy_of_a_bad_file_beside_a_good_one_applies_nothing(running: Laptop) -> None:
    good = running.folder / "good.yaml"
    good.write_text(yaml.safe_dump(_release(running)), encoding="utf-8")
    file = _write(running, yaml.safe_dump(_release(running, replicas="many")))
    ran = running.sluice("deploy", "-f", good.name, "-f", file)
    _said(ran, USAGE, "bad.yaml", "spec.replicas", "nothing was applied")
    assert running.status("taxi") is None


def test_policy_that_is_nowhere_is_named(running: Laptop) -> None:
    file = _write(running, yaml.safe_dump(_release(running, policyRef={"name": "strict"})))
    _said(running.sluice("deploy", "-f", file), USAGE, "strict", "nothing was applied")
    assert running.status("taxi") is None


def test_field_that_would_change_what_runs_is_refused_with_its_path(running: Laptop) -> None:
    document = _release(running)
    document["spec"]["template"]["spec"]["volumes"] = [{"name": "models", "emptyDir": {}}]
    ran = running.sluice("deploy", "-f", _write(running, yaml.safe_dump(document)))
    _said(ran, USAGE, "spec.template.spec.volumes", "nothing was applied")
    assert running.status("taxi") is None

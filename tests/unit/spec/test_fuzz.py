import random

import pytest
from benchmarks import fuzz
from benchmarks.fuzzing import spec as target

from sluice.errors import Fault, SpecError
from sluice.spec import Documents, loader


def test_a_thousand_mutated_documents_are_refused_or_kept_whole() -> None:
    assert fuzz.run(fuzz.Chunk(target="spec", seed=0, count=1_000)) is None


def test_the_targets_of_the_folder_are_found() -> None:
    assert "spec" in fuzz.targets()


def test_one_seed_makes_one_input(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def loader_that_refuses(source: object, **_: object) -> Documents:
        seen.append(source)
        raise SpecError([Fault(path="file", reason="seen")])

    monkeypatch.setattr(target, "from_objects", loader_that_refuses)
    monkeypatch.setattr(target, "load", loader_that_refuses)
    for seed in [*range(20), *range(20)]:
        target.check(random.Random(seed))
    assert seen[:20] == seen[20:]
    assert seen[0] != seen[1]


def test_a_loader_that_drops_a_field_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "to_object", lambda document: {"kind": document.kind})
    monkeypatch.setattr(target, "_text", lambda _: None)
    failure = fuzz.run(fuzz.Chunk(target="spec", seed=0, count=200))
    assert failure is not None
    assert "a field was dropped" in failure.trace


def test_a_loader_that_accepts_unknown_fields_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "from_objects", lambda *_, **__: Documents())
    failure = fuzz.run(fuzz.Chunk(target="spec", seed=0, count=200))
    assert failure is not None
    assert "an unknown field was accepted" in failure.trace


def test_any_other_error_than_ours_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise KeyError("our bug")

    monkeypatch.setattr(loader, "relations_in", broken)
    failure = fuzz.run(fuzz.Chunk(target="spec", seed=0, count=50))
    assert failure is not None
    assert "our bug" in failure.trace


def test_an_input_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forever(_: random.Random) -> None:
        while True:
            pass

    monkeypatch.setattr(target, "check", forever)
    monkeypatch.setattr(fuzz, "HANG_S", 0.05)
    failure = fuzz.run(fuzz.Chunk(target="spec", seed=3, count=1))
    assert failure is not None
    assert failure.seed == 3


def test_an_unknown_target_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--targets", "nothing"]) == 64
    assert "spec" in capsys.readouterr().out

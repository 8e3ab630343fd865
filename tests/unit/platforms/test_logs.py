from pathlib import Path

from sluice.platforms.local.logs import cut_log, last_line, log_size


def test_the_last_line_that_says_anything_is_found(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_line(log) == ""
    log.write_text("one\ntwo\n\n  \n")
    assert last_line(log) == "two"
    assert last_line(log, since=4) == "two"
    assert last_line(log, since=8) == ""


def test_a_log_that_was_cut_meanwhile_is_read_from_its_begin(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("new\n")
    assert last_line(log, since=1000) == "new"


def test_a_long_line_is_shortened_and_bytes_are_no_obstacle(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\xff" * 100_000)
    line = last_line(log)
    assert len(line) == 300
    assert line.endswith("…")


def test_a_log_beyond_its_size_starts_anew_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        assert not cut_log(log, 100)
        writer.write(b"y")
        assert cut_log(log, 100)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert log_size(tmp_path / "log.1") == 101

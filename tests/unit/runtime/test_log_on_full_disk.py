import subprocess
import sys

SCRIPT = """
import structlog
from sluice.agent.stderr import log_stream
structlog.configure(logger_factory=structlog.{factory})
for _ in range(1_000):
    structlog.get_logger().info("release.decided", text="x" * 100)
print("alive")
"""


def _run(factory: str) -> subprocess.CompletedProcess[str]:
    with open("/dev/full", "w", encoding="utf-8") as full:
        return subprocess.run(
            [sys.executable, "-c", SCRIPT.format(factory=factory)],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )


def test_log_on_a_full_disk_stops_nothing() -> None:
    assert _run("WriteLoggerFactory(log_stream())").stdout == "alive\n"


def test_log_that_insists_on_a_full_disk_would_have_stopped_it() -> None:
    assert _run("PrintLoggerFactory(__import__('sys').stderr)").stdout == ""

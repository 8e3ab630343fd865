"""Tell every scenario in memory and keep what came of it: ``make conformance``."""

import sys

import structlog
from tests.conformance.results import path_of, write
from tests.conformance.suite import SCENARIOS, tell_in_memory


def main() -> int:
    """Returns 1 when a scenario goes otherwise than it says; nothing is written then."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    rows = {}
    failed = []
    for scenario in SCENARIOS:
        try:
            rows[scenario.name] = tell_in_memory(scenario)
        except AssertionError as error:
            failed.append(f"{scenario.name}: {error}")
    if failed:
        sys.stderr.write("\n".join([*failed, ""]))
        return 1
    if write("memory", rows):
        sys.stdout.write(f"wrote {path_of('memory').name}: {len(rows)} scenarios\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

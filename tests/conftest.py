"""Event loops that end; Hypothesis with the same cases on every run and without a deadline.

``HYPOTHESIS_PROFILE=explore make test`` looks for new ones.
"""

import asyncio
import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeat", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=1_000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))


def pytest_configure() -> None:
    # looptime asks for the current loop in sync tests too, and Python 3.11 then makes one that
    # nobody closes; after this it raises instead, which looptime expects.
    asyncio.set_event_loop(None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files instead of comparing"
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))

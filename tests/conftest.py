import asyncio

import pytest


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

import asyncio


def pytest_configure() -> None:
    # looptime asks for the current loop in sync tests too, and Python 3.11 then makes one that
    # nobody closes; after this it raises instead, which looptime expects.
    asyncio.set_event_loop(None)

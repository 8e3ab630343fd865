from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.agent.fakes import Now, RecordingSink

from sluice.agent.core import Agent
from sluice.agent.rendering import Renderer
from sluice.agent.store import FragmentStore


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def new_agent(tmp_path: Path, sink: RecordingSink, now: Now) -> Callable[[], Agent]:
    """Agents over the same disk: what a restart makes."""

    def make() -> Agent:
        agent = Agent(
            name="router-0",
            sink=sink,
            renderer=Renderer(eds_dir="eds"),
            store=FragmentStore(tmp_path / "fragments"),
            now_s=now,
            linger_s=60.0,
        )
        agent.restore()
        return agent

    return make


@pytest.fixture
def agent(new_agent: Callable[[], Agent]) -> Agent:
    return new_agent()

"""The reference page of status, annotations and metrics names all that there is."""

import re
from pathlib import Path

import pytest
from tests.unit.cluster.world import World

from sluice.cluster.asked import COMMAND, PLAIN
from sluice.cluster.finalizer import FINALIZER
from sluice.cluster.gauges import Gauges
from sluice.cluster.news import WARNINGS
from sluice.cluster.shown import FIELDS

PAGE = (Path(__file__).parents[3] / "docs/reference/status.md").read_text()
PACKED = ("routing", "checkpoint", "view")


def metrics() -> list[str]:
    gauges = Gauges()
    gauges.leads(None, lambda: [("sluice_controller_api_calls", "text", 1.0)])
    found = re.findall(r"^# TYPE (\S+) \w+$", gauges.text().decode(), re.MULTILINE)
    return [name for name in found if not name.endswith("_created")]


@pytest.mark.parametrize(
    "name", [*FIELDS, *PACKED, *PLAIN, COMMAND, FINALIZER, *sorted(WARNINGS), *metrics()]
)
def test_the_page_names_it(name: str) -> None:
    assert f"`{name}`" in PAGE


async def test_the_page_names_every_condition_and_no_other() -> None:
    world = World()
    await world.stable()
    written = {item["type"] for item in (await world.status())["conditions"]}
    table = PAGE.partition("## Conditions")[2].partition("## Annotations")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == written

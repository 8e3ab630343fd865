from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.contract.outcomes.rigs import CsvRig, JsonlRig, MemoryRig, Rig, StoreRig
from tests.support.postgres import MISSING, programs, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    if programs() is None:
        pytest.skip(MISSING)
    with running_postgres() as url:
        yield url


def emptied(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("DROP TABLE IF EXISTS predictions, feedback")
    return url


@pytest.fixture(params=["memory", "csv", "jsonl", "store-jsonl", "store-sqlite", "store-postgres"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    made: Rig
    match request.param:
        case "memory":
            made = MemoryRig()
        case "csv":
            made = CsvRig(tmp_path)
        case "jsonl":
            made = JsonlRig(tmp_path)
        case "store-jsonl":
            made = StoreRig(f"jsonl:{tmp_path}/p.log")
        case "store-sqlite":
            made = StoreRig(f"sqlite:{tmp_path}/p.db")
        case _:
            made = StoreRig(emptied(request.getfixturevalue("postgres")))
    yield made
    await made.source.close()
    if isinstance(made, StoreRig):
        made.store.close()

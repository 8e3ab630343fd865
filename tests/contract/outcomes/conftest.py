from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.contract.outcomes.postgres import PACKAGE, database, programs
from tests.contract.outcomes.rigs import (
    CsvRig,
    JsonlRig,
    MemoryRig,
    PostgresRig,
    Rig,
    SqliteRig,
    StoreJsonlRig,
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    found = programs()
    if found is None:
        pytest.skip(PACKAGE)
    with database(found) as url:
        yield url


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
            made = StoreJsonlRig(tmp_path)
        case "store-sqlite":
            made = SqliteRig(tmp_path)
        case _:
            made = PostgresRig(request.getfixturevalue("postgres"))
    yield made
    await made.source.close()

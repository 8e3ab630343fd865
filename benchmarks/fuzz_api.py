"""Requests made from the OpenAPI page, good and bad: ``python -m benchmarks.fuzz_api BUNDLES``.

A real server answers requests that schemathesis draws from the server's own description, half of
them breaking it. Every answer must be one that is described, every error a 4xx of the one shape,
and the process must not grow.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from schemathesis import GenerationMode

from benchmarks.model_api.servers import Recipe, Server

TOKEN = "fuzz"  # noqa: S105  # opens a server that lives as long as this process
WARM = 0.4
"""Share of the requests after which memory must not grow any more: caches and heap have filled."""
MAX_GROWTH = 1.1
"""Memory at the end over memory when warm."""


@dataclass(kw_only=True)
class Fuzzed:
    """What became of the requests."""

    codes: Counter[str]
    """Answers by operation and code."""
    rss_mb: list[float]
    """Memory of the server after each operation of each round."""

    @property
    def growth(self) -> float:
        """Most memory over the last requests, by the most over the first."""
        warm = max(1, int(len(self.rss_mb) * WARM))
        return max(self.rss_mb[warm:]) / max(self.rss_mb[:warm])


class UnexpectedError(AssertionError):
    """An answer that the description does not allow; says how to repeat the request."""


def fuzz(
    url: str, *, examples: int, rss_mb: Callable[[], float], rounds: int = 5, first_seed: int = 1
) -> Fuzzed:
    """Send requests to a running server.

    Args:
        url: Where it listens; ``MODEL_API_FEEDBACK_TOKEN`` must be :data:`TOKEN`.
        examples: Requests per operation, round and kind (good, bad).
        rss_mb: Memory of the server now, MB.
        rounds: Times that every operation is visited, for memory to be seen.
        first_seed: Seed of the first round.

    Raises:
        UnexpectedError: an answer that must not be.
    """
    schema: Any = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    found = Fuzzed(codes=Counter(), rss_mb=[])
    with requests.Session() as session:
        for number in range(rounds):
            for operation in operations:
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    _visit(operation, mode, examples, first_seed + number, session, found.codes)
                found.rss_mb.append(rss_mb())
    return found


def _visit(
    operation: Any,
    mode: GenerationMode,
    examples: int,
    drawn_from: int,
    session: requests.Session,
    codes: Counter[str],
) -> None:
    if mode is GenerationMode.NEGATIVE and not operation.body:
        return  # nothing in it can be wrong

    @seed(drawn_from)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        # Faults stay locked: what they do to the server is what they are for.
        token = {"authorization": f"Bearer {TOKEN}"} if case.path == "/feedback" else {}
        response = case.call(session=session, headers=token, timeout=30)
        codes[f"{case.method} {case.path} {response.status_code}"] += 1
        check(case, response)

    send()


def check(case: Any, response: Any) -> None:
    """Compare one answer with what the description allows.

    Raises:
        UnexpectedError: it does not.
    """
    code = response.status_code
    again = (
        f"{case.method} {case.path}: {code} {response.content[:300]!r}\n{case.as_curl_command()}"
    )
    described = case.operation.definition.raw["responses"]
    if code >= 500 or str(code) not in described:
        raise UnexpectedError(f"not described: {again}")
    if code == 200:
        try:
            case.validate_response(
                response, checks=[schemathesis.checks.response_schema_conformance]
            )
        except Exception as error:
            raise UnexpectedError(f"{error}\n{again}") from error
        return
    document = response.json()
    if set(document) != {"error"} or not document["error"]:
        raise UnexpectedError(f"an error of another shape: {again}")


def main(argv: list[str] | None = None) -> int:
    """Fuzz a server of these bundles; returns 1 when an answer or its memory is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz_api", description=__doc__)
    parser.add_argument("bundles", help="bundle or registry, as MODEL_API_BUNDLE")
    parser.add_argument("--examples", type=int, default=60, help="per operation, round and kind")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe(
            name="ours",
            environment="",
            command=(sys.executable, "-m", "sluice_model_api", "serve"),
            variables={
                "MODEL_API_BUNDLE": args.bundles,
                "MODEL_API_PORT": "{port}",
                "MODEL_API_PREDICTIONS_URL": f"sqlite:{folder}/predictions.db",
                "MODEL_API_FEEDBACK_TOKEN": TOKEN,
                "MODEL_API_ADMIN_TOKEN": os.urandom(8).hex(),
            },
        )
        server = Server(recipe, Path(folder), Path(folder))
        try:
            found = fuzz(
                f"http://127.0.0.1:{server.port}",
                examples=args.examples,
                rss_mb=server.rss_mb,
                first_seed=args.seed,
            )
        except UnexpectedError as error:
            print(error)
            return 1
        finally:
            server.stop()
    for name, count in sorted(found.codes.items()):
        print(f"{count:8,}  {name}")
    print(
        f"{found.codes.total():,} requests in {time.monotonic() - started:.0f} s; memory "
        f"{found.rss_mb[0]:.1f} to {found.rss_mb[-1]:.1f} MB, grown {found.growth:.2f}x when warm"
    )
    return 0 if found.growth <= MAX_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())

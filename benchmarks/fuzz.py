"""Random inputs to every parser: ``python -m benchmarks.fuzz --inputs 1000000``.

A target is a module in ``benchmarks/fuzzing`` with ``check(rng) -> None``, which makes one input
from ``rng`` and raises when the parser does anything but accept it or refuse it by its named error.
Input i of a run is made from ``random.Random(seed + i)``, so that one number repeats it.
"""

import argparse
import importlib
import multiprocessing
import pkgutil
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks import fuzzing

PROCESSES = 2
CHUNK = 500
HANG_S = 10.0
"""An input that keeps a parser busy for so long is a failure of the parser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Inputs that one process does in one go."""

    target: str
    seed: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The first input of a chunk that a target did not bear."""

    target: str
    seed: int
    trace: str


def main(argv: list[str] | None = None) -> int:
    """Fuzz; returns 1 when any input failed, and prints how to repeat it."""
    options = _options(argv)
    known = targets()
    unknown = sorted(set(options.targets) - set(known))
    if unknown:
        print(f"no such target: {', '.join(unknown)}; there are: {', '.join(known)}")
        return 64
    chosen = options.targets or known
    share, rest = divmod(options.inputs, len(chosen))
    counts = {name: share + (i < rest) for i, name in enumerate(chosen)}
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        failures = [
            failure
            for name, count in counts.items()
            if (failure := _fuzz(pool.imap, name, options.seed, count)) is not None
        ]
    for failure in failures:
        print(f"\n{failure.trace}")
        again = f"python -m benchmarks.fuzz --targets {failure.target} --inputs 1"
        print(f"{failure.target}: input failed; repeat it: {again} --seed {failure.seed}")
    return 1 if failures else 0


def targets() -> list[str]:
    """Names of the modules in ``benchmarks/fuzzing`` that have ``check``."""
    names = sorted(module.name for module in pkgutil.iter_modules(fuzzing.__path__))
    return [name for name in names if hasattr(_module(name), "check")]


def run(chunk: Chunk) -> Failure | None:
    """Do the inputs of a chunk until one fails."""
    check: Callable[[random.Random], None] = _module(chunk.target).check
    before = signal.signal(signal.SIGALRM, _hangs)
    try:
        for seed in range(chunk.seed, chunk.seed + chunk.count):
            signal.setitimer(signal.ITIMER_REAL, HANG_S)
            try:
                check(random.Random(seed))
            except Exception:  # noqa: BLE001  # whatever it is, it is the finding
                return Failure(target=chunk.target, seed=seed, trace=traceback.format_exc())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return None


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="over all targets together")
    parser.add_argument(
        "--targets",
        type=lambda text: [name for name in text.split(",") if name],
        default=[],
        help="names with commas; default: all",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the first input")
    return parser.parse_args(argv)


def _fuzz(
    over: Callable[[Callable[[Chunk], Failure | None], Iterator[Chunk]], Iterator[Failure | None]],
    target: str,
    seed: int,
    count: int,
) -> Failure | None:
    began = time.perf_counter()
    chunks = (
        Chunk(target=target, seed=seed + first, count=min(CHUNK, count - first))
        for first in range(0, count, CHUNK)
    )
    failure = next((found for found in over(run, chunks) if found is not None), None)
    took_s = time.perf_counter() - began
    if failure is None:
        print(f"{target}: {count:,} inputs in {took_s:,.1f} s, {count / took_s:,.0f} inputs/s")
    return failure


def _module(name: str) -> Any:
    return importlib.import_module(f"{fuzzing.__name__}.{name}")


def _hangs(_signal: int, _frame: object) -> None:
    raise TimeoutError(f"one input kept the parser busy for {HANG_S:g} s")


if __name__ == "__main__":
    sys.exit(main())

"""Reading the files that a command line names."""

import sys
from collections.abc import Sequence
from pathlib import Path

from sluice.errors import Fault, SpecError

STDIN = "-"


def read_files(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(name, text) of every file, ``-`` for standard input.

    Raises:
        SpecError: files that cannot be read, all of them.
    """
    texts: list[tuple[str, str]] = []
    faults: list[Fault] = []
    for name in names:
        try:
            if name == STDIN:
                texts.append(("stdin", sys.stdin.read()))
            else:
                texts.append((name, Path(name).read_text(encoding="utf-8")))
        except UnicodeDecodeError as error:
            reason = f"is not UTF-8 text (byte {error.start}): save it as UTF-8"
            faults.append(Fault(path="file", reason=reason, file=name))
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            faults.append(Fault(path="file", reason=reason, file=name))
    if faults:
        raise SpecError(faults)
    return tuple(texts)

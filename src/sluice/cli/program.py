"""The words that start this command, so that every hint can be copied as it is shown."""

import re
from contextvars import ContextVar

SLUICE = "sluice"
PLUGIN = "kubectl sluice"

_words = ContextVar("program", default=SLUICE)
_HINT = re.compile(r"`sluice (?=[a-z])")


def name_program(words: str) -> None:
    """Say how this command is started, options that every hint needs included."""
    _words.set(words)


def program() -> str:
    """How this command is started: ``sluice``, ``kubectl sluice -n ml``."""
    return _words.get()


def hinted(text: str) -> str:
    """A text whose hints (```sluice verb```) start like this command was started.

    The engine and the controller know no command line: they write ``sluice``.
    """
    words = _words.get()
    return text if words == SLUICE else _HINT.sub(f"`{words} ", text)

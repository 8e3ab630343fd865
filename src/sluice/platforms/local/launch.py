"""Becomes a program once its supervisor has recorded it; run as a script, never imported.

``python -I -S launch.py KEPT FOLDER ARGV...`` with the read end of a pipe as standard input. One
byte on the pipe means "you are on record: go". End of file means that the supervisor died first:
then nothing is run, so there is never a process that no record names.
"""

import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Wait for the go, then be the program; failures go to the program's log."""
    kept, folder, argv = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if not os.read(0, 1):
        os._exit(0)
    # What the supervisor's own caller left open (a CI job's pipe, say) must not live on in here.
    os.closerange(3 + kept, os.sysconf("SC_OPEN_MAX"))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores both, and exec keeps that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.chdir(folder)
    except OSError as error:
        _fail(126, f"enter the working directory {folder!r}", error)
    try:
        os.execvp(argv[0], argv)  # noqa: S606  # no shell is the point
    except OSError as error:
        _fail(127 if isinstance(error, FileNotFoundError) else 126, f"run {argv[0]!r}", error)


def _fail(status: int, what: str, error: OSError) -> NoReturn:
    os.write(2, f"cannot {what}: {error.strerror}\n".encode())
    os._exit(status)


if __name__ == "__main__":
    main()

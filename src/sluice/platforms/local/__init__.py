"""The laptop: processes for pods, files for the API server, one supervisor for the controller."""

from sluice.platforms.local.daemon import Daemon, stop_daemons
from sluice.platforms.local.folder import StateFolder
from sluice.platforms.local.journal import FileJournal
from sluice.platforms.local.lock import holder
from sluice.platforms.local.options import LocalOptions
from sluice.platforms.local.platform import LocalPlatform
from sluice.platforms.local.template import parse_template

__all__ = [
    "Daemon",
    "FileJournal",
    "LocalOptions",
    "LocalPlatform",
    "StateFolder",
    "holder",
    "parse_template",
    "stop_daemons",
]

"""The laptop: processes for pods, files for the API server, one supervisor for the controller."""

from sluice.platforms.local.folder import StateFolder
from sluice.platforms.local.options import LocalOptions
from sluice.platforms.local.platform import LocalPlatform
from sluice.platforms.local.template import parse_template

__all__ = ["LocalOptions", "LocalPlatform", "StateFolder", "parse_template"]

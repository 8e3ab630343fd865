"""``python -m sluice_model_api``: the same as ``model-api``."""

import sys

from sluice_model_api.cli import main

sys.exit(main())

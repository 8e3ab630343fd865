"""A laptop does not pay for Kubernetes' client."""

import subprocess
import sys

import pytest

IMPORTED = "import sys; print(sorted({'kubernetes', 'urllib3'} & set(sys.modules)))"


@pytest.mark.parametrize(
    "module",
    ["sluice.cli.main", "sluice.laptop.supervisor", "sluice.kube.client", "sluice.testing.kube"],
)
def test_client_is_imported_only_to_connect(module: str) -> None:
    code = f"import {module}; {IMPORTED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_check_can_fail() -> None:
    code = f"import sluice.kube.http; {IMPORTED}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['kubernetes', 'urllib3']"

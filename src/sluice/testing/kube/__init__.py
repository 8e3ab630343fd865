"""An API server in memory, for tests of what talks to Kubernetes."""

from sluice.testing.kube.jobs import MemoryJobRuns
from sluice.testing.kube.nodes import MemoryNodes
from sluice.testing.kube.server import MemoryApi

__all__ = ["MemoryApi", "MemoryJobRuns", "MemoryNodes"]

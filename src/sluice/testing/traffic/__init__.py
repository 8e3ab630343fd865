"""Open-model HTTP load for demos and end-to-end tests: in this process or in one of its own."""

from sluice.testing.traffic.load import Traffic
from sluice.testing.traffic.report import Answer, Histogram, Outcome, Report
from sluice.testing.traffic.runner import TrafficProcess

__all__ = ["Answer", "Histogram", "Outcome", "Report", "Traffic", "TrafficProcess"]

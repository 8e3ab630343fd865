"""The data plane of clusters that have a Gateway already: a release is HTTPRoutes.

It splits, forces and shows; it does not count, keep users, replace failed answers or hold a lease.
"""

from sluice.dataplanes.gateway.plane import CAPABILITIES, HttpRouteDataPlane, gateway_dataplane
from sluice.dataplanes.gateway.settings import (
    Acknowledge,
    GatewaySettings,
    ParentRef,
    parse_parents,
)

__all__ = [
    "CAPABILITIES",
    "Acknowledge",
    "GatewaySettings",
    "HttpRouteDataPlane",
    "ParentRef",
    "gateway_dataplane",
    "parse_parents",
]

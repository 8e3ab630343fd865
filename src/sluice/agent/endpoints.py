"""Who answers for a revision, read from EndpointSlices."""

from collections.abc import Iterable, Mapping
from typing import Any

from sluice.nouns import Endpoint

Object = Mapping[str, Any]

SERVICE_LABEL = "kubernetes.io/service-name"
"""Names the Service whose slice it is."""


def endpoints_of(slices: Iterable[Object], port: str | int) -> tuple[Endpoint, ...]:
    """Endpoints that can take requests: ready, serving, not about to end; by name.

    Args:
        slices: Of one Service.
        port: Name or number of the port that takes requests.
    """
    found: dict[str, Endpoint] = {}
    addresses: set[str] = set()
    for item in slices:
        number = _port(item.get("ports") or (), port)
        if number is None or item.get("addressType") == "FQDN":
            continue
        for entry in item.get("endpoints") or ():
            if not _takes_requests(entry.get("conditions") or {}):
                continue
            host = entry["addresses"][0]
            name = (entry.get("targetRef") or {}).get("name") or host
            # A pod of two address families stands in two slices, and slices overlap for a moment
            # while the API server's controller moves endpoints between them.
            if name not in found and host not in addresses:
                addresses.add(host)
                found[name] = Endpoint(name=name, host=host, port=number)
    return tuple(found[name] for name in sorted(found))


def _takes_requests(conditions: Object) -> bool:
    # A condition that is left out is unknown, which the API says to read as true; of
    # ``terminating`` as false.
    return (
        conditions.get("ready") is not False
        and conditions.get("serving") is not False
        and not conditions.get("terminating")
    )


def _port(ports: Iterable[Object], wanted: str | int) -> int | None:
    numbers = {item.get("name") or "": item["port"] for item in ports if item.get("port")}
    if wanted in numbers:
        return int(numbers[str(wanted)])
    if isinstance(wanted, int) and wanted in numbers.values():
        return wanted
    # The Service of a revision has one port, whatever it calls it.
    return int(next(iter(numbers.values()))) if len(numbers) == 1 else None

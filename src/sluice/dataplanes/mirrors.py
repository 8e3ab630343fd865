"""Who gets copies of a release's infer requests, as Envoy's mirror policies."""

from sluice.dataplanes.names import ClusterName, Use
from sluice.dataplanes.resources import Resource, set_header
from sluice.nouns import BP_TOTAL, Routing

SHADOW_HEADER = "x-sluice-shadow"
"""Request header of mirrored copies; never comes from outside."""
_BP_MILLIONTHS = 100


def fraction(millionths: int) -> Resource:
    """A share of requests, as routes and mirror policies write it."""
    return {"default_value": {"numerator": millionths, "denominator": "MILLION"}}


def mirrored_millionths(routing: Routing) -> int:
    """Share of infer requests that anybody gets a copy of."""
    return max((arm.weight_bp * _BP_MILLIONTHS for arm in routing.mirrored), default=0)


def mirrors(routing: Routing) -> list[Resource]:
    """Who gets copies of the requests on the mirrored route.

    Envoy draws one number per request, for the route and for every policy on it: each share is one
    of all requests, and the copies lie inside each other (measured).
    """
    copies = [(arm.revision, arm.weight_bp * _BP_MILLIONTHS) for arm in routing.mirrored]
    if routing.capture is not None and routing.capture.noise_bp > 0:
        share = mirrored_millionths(routing) * routing.capture.noise_bp // BP_TOTAL
        copies.append((routing.fallback, share))
    return [
        {
            "cluster": str(ClusterName(routing.release, revision, Use.MIRROR)),
            "runtime_fraction": fraction(millionths),
            "disable_shadow_host_suffix_append": True,
            "request_headers_mutations": [{"append": set_header(SHADOW_HEADER, "1")}],
        }
        for revision, millionths in copies
    ]

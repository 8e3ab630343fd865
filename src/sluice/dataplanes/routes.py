"""Routes of Envoy for one release, and the route table of a router.

Order inside a release: forced arms, preview arms, then live traffic: requests that may be repeated
(predict and infer, then reads), and the rest. The mirrored share of infer requests has a route of
its own, so that no other request passes a mirror or a capture.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import orjson

from sluice.dataplanes.badanswers import user_metadata
from sluice.dataplanes.clusters import METADATA, is_shielded
from sluice.dataplanes.mirrors import SHADOW_HEADER, fraction, mirrored_millionths, mirrors
from sluice.dataplanes.names import ClusterName, Use
from sluice.dataplanes.resources import Resource, seconds, set_header, typed
from sluice.nouns import BP_TOTAL, Arm, Match, Purpose, RevisionId, Routing, Shield, Sticky

VERSION_HEADER = "x-sluice-version"
"""Response header: the revision that answered."""
GENERATION_HEADER = "x-sluice-generation"
"""Response header: the routing that sent it there."""
OWN_HEADERS = (VERSION_HEADER, GENERATION_HEADER, SHADOW_HEADER)
"""Request headers that no client may send on to a model."""
ROUTE_CONFIG = "sluice"
"""Name of the one route table."""
INFER_PATH = r"/predict|/v2/models/[^/]+(/versions/[^/]+)?/infer"
"""Requests that may be repeated and mirrored: a prediction has no side effects."""
COOKIE_MAX_AGE_S = 30 * 24 * 3600

_BACK_OFF = {"base_interval": "0.005s", "max_interval": "0.025s"}


def _add_header(key: str, value: str) -> Resource:
    return {"header": {"key": key, "value": value}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}


def _retry(*, repeatable: bool) -> Resource:
    """Once, on another endpoint: what never reached a server may always be tried again."""
    previous_hosts = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    causes = "connect-failure,refused-stream" + (",reset" if repeatable else "")
    return {
        "retry_on": causes,
        "num_retries": 1,
        "retry_back_off": _BACK_OFF,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": typed(previous_hosts),
            }
        ],
        "host_selection_retry_max_attempts": "16",
    }


def _header_is(match: Match) -> Resource:
    return {"name": match.header, "string_match": {"exact": match.value}}


def _cookie_pattern(name: str) -> str:
    return rf"(?:.*;\s*)?{re.escape(name)}=([^;]+).*"


def _anonymous(sticky: Sticky) -> list[Resource]:
    """Header matches of a request that carries neither the user header nor the cookie."""
    absent: list[Resource] = []
    if sticky.header:
        absent.append({"name": sticky.header, "present_match": True, "invert_match": True})
    if sticky.cookie:
        absent.append(
            {
                "name": "cookie",
                "string_match": {"safe_regex": {"regex": _cookie_pattern(sticky.cookie)}},
                "treat_missing_header_as_empty": True,
                "invert_match": True,
            }
        )
    return absent


def _salted(sticky: Sticky, header: str, pattern: str) -> Resource:
    rewrite = {"pattern": {"regex": pattern}, "substitution": rf"{sticky.salt}:\1"}
    return {"header": {"header_name": header, "regex_rewrite": rewrite}, "terminal": True}


def _hash_policy(sticky: Sticky) -> list[Resource]:
    """Hash of salt and user: the header where there is one, then the cookie."""
    policy = [_salted(sticky, sticky.header, "^(.*)$")] if sticky.header else []
    if sticky.cookie:
        policy.append(_salted(sticky, "cookie", f"^{_cookie_pattern(sticky.cookie)}$"))
    return policy


def _anonymous_policy(sticky: Sticky) -> list[Resource]:
    """Hash of salt and the id that becomes the cookie.

    Not after the others in one policy: a header that the pattern does not match is hashed as it
    is, so that a visitor with cookies of others would be drawn by those, and anew by our own.
    """
    return [_salted(sticky, "x-request-id", "^(.*)$")]


def _new_cookie(sticky: Sticky) -> Resource:
    # Envoy replaces a client's x-request-id, so that nobody can inject a value here.
    value = (
        f"{sticky.cookie}=%REQ(X-REQUEST-ID)%; Path=/; Max-Age={COOKIE_MAX_AGE_S};"
        " HttpOnly; SameSite=Lax"
    )
    return _add_header("set-cookie", value)


def _arm_entry(
    routing: Routing, arm: Arm, weight_bp: int, *, shielded: bool, captured: bool
) -> Resource:
    use = Use.SHIELD if shielded and is_shielded(routing, arm) else Use.LIVE
    if captured and arm.revision == routing.fallback:
        use = Use.CAPTURED
    # Only behind a shield can another revision answer than the one that was chosen.
    version = f"%UPSTREAM_METADATA({METADATA}:revision)%" if use is Use.SHIELD else arm.revision
    return {
        "name": str(ClusterName(routing.release, arm.revision, use)),
        "weight": weight_bp,
        "response_headers_to_add": [set_header(VERSION_HEADER, version)],
    }


def _live_action(
    routing: Routing,
    weights: Mapping[RevisionId, int],
    *,
    infer: bool,
    repeatable: bool,
    mirrored: bool = False,
) -> Resource:
    captured = mirrored and routing.capture is not None
    clusters = [
        _arm_entry(routing, arm, weights[arm.revision], shielded=infer, captured=captured)
        for arm in routing.live
    ]
    weighted: Resource = {"clusters": clusters}
    action: Resource = {
        "timeout": seconds(routing.timeout_ms),
        "weighted_clusters": weighted,
        "retry_policy": _retry(repeatable=repeatable),
    }
    if routing.sticky is not None:
        weighted["use_hash_policy"] = True
        action["hash_policy"] = _hash_policy(routing.sticky)
    elif infer and routing.mirrored and len(routing.live) > 1:
        # The number that chose the mirrored route would choose the arm as well, and a route for
        # the lowest tenth would know only some arms: hash the request's id instead.
        weighted["use_hash_policy"] = True
        action["hash_policy"] = [{"header": {"header_name": "x-request-id"}}]
    if mirrored:
        action["request_mirror_policies"] = mirrors(routing)
    return action


def _live_routes(routing: Routing, weights: Mapping[RevisionId, int]) -> Iterator[Resource]:
    post = {"name": ":method", "string_match": {"exact": "POST"}}
    read = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
    infer = _live_action(routing, weights, infer=True, repeatable=True)
    match_infer = {"safe_regex": {"regex": INFER_PATH}, "headers": [post]}
    buffer = _buffer(routing.shield)
    if routing.mirrored:
        for match in routing.no_mirror:
            headers = [post, _header_is(match)]
            yield from _with_cookie(routing, {**match_infer, "headers": headers}, infer, buffer)
        mirrored = _live_action(routing, weights, infer=True, repeatable=True, mirrored=True)
        share = fraction(mirrored_millionths(routing))
        match_mirrored = {**match_infer, "runtime_fraction": share}
        yield from _with_cookie(routing, match_mirrored, mirrored, buffer)
    yield from _with_cookie(routing, match_infer, infer, buffer)
    reads = _live_action(routing, weights, infer=False, repeatable=True)
    yield from _with_cookie(routing, {"prefix": "/", "headers": [read]}, reads, {})
    rest = _live_action(routing, weights, infer=False, repeatable=False)
    yield from _with_cookie(routing, {"prefix": "/"}, rest, {})


def _buffer(shield: Shield | None) -> Resource:
    """A body larger than the buffer cannot be sent twice, and the failure would show."""
    return {"request_body_buffer_limit": shield.max_body_bytes} if shield else {}


def _with_cookie(
    routing: Routing, match: Resource, action: Resource, extra: Resource
) -> Iterator[Resource]:
    """The route, preceded by the one for users whom nobody has named yet."""
    sticky = routing.sticky
    if sticky is not None and sticky.cookie:
        headers = [*match.get("headers", ()), *_anonymous(sticky)]
        yield {
            "match": {**match, "headers": headers},
            "route": {**action, "hash_policy": _anonymous_policy(sticky)},
            "response_headers_to_add": [_new_cookie(sticky)],
            "metadata": user_metadata(header="x-request-id"),
            **extra,
        }
    if sticky is not None:
        extra = {**extra, "metadata": _named_by(sticky)}
    yield {"match": match, "route": action, **extra}


def _named_by(sticky: Sticky) -> Resource:
    pattern = f"^{_cookie_pattern(sticky.cookie)}$" if sticky.cookie else ""
    return user_metadata(header=sticky.header or "", cookie_pattern=pattern)


def _chosen_route(routing: Routing, arm: Arm, match: Match | None) -> Iterator[Resource]:
    """Routes of a forced or preview arm: those repeatable first."""
    headers = [_header_is(match)] if match else []
    name = ClusterName(routing.release, arm.revision, Use(arm.purpose.value))
    post = {"name": ":method", "string_match": {"exact": "POST"}}
    read = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
    kinds: list[tuple[Resource, bool]] = [
        ({"safe_regex": {"regex": INFER_PATH}, "headers": [*headers, post]}, True),
        ({"prefix": "/", "headers": [*headers, read]}, True),
        ({"prefix": "/", "headers": headers} if headers else {"prefix": "/"}, False),
    ]
    for where, repeatable in kinds:
        yield {
            "match": where,
            "route": {
                "cluster": str(name),
                "timeout": seconds(routing.timeout_ms),
                "retry_policy": _retry(repeatable=repeatable),
            },
            "response_headers_to_add": [set_header(VERSION_HEADER, arm.revision)],
        }


def virtual_hosts(routing: Routing, *, lease_expired: bool = False) -> list[Resource]:
    """The release's virtual host, and one per preview arm that has hosts of its own.

    Args:
        routing: What to serve.
        lease_expired: Give all live weight to the fallback; everything else stays.
    """
    weights = {arm.revision: arm.weight_bp for arm in routing.live}
    if lease_expired:
        weights = dict.fromkeys(weights, 0) | {routing.fallback: BP_TOTAL}
    chosen: list[Resource] = []
    hosts: list[Resource] = []
    for purpose in (Purpose.FORCED, Purpose.PREVIEW):
        for arm in routing.arms:
            if arm.purpose is not purpose:
                continue
            if arm.match is not None:
                chosen.extend(_chosen_route(routing, arm, arm.match))
            if arm.hosts:
                routes = list(_chosen_route(routing, arm, None))
                name = f"{routing.release}/{arm.revision}/{purpose}"
                hosts.append(_virtual_host(routing, name, arm.hosts, routes))
    main = [*chosen, *_live_routes(routing, weights)]
    return [_virtual_host(routing, routing.release, routing.hosts, main), *hosts]


def _virtual_host(
    routing: Routing, name: str, hosts: Sequence[str], routes: list[Resource]
) -> Resource:
    return {
        "name": name,
        "domains": [host.lower() for host in hosts],
        "routes": routes,
        "response_headers_to_add": [set_header(GENERATION_HEADER, str(routing.generation))],
    }


def fallback_host(known_hosts: Sequence[str]) -> Resource:
    """Answers 404 where no release claims a host; says which hosts there are, at most ten."""
    known = ", ".join(sorted(known_hosts)[:10]) or "none yet"
    problem = {
        "type": "about:blank",
        "title": "No release serves this host",
        "status": 404,
        "detail": f"hosts of this router: {known}",
    }
    return {
        "name": "sluice-nobody",
        "domains": ["*"],
        "routes": [
            {
                "match": {"prefix": "/"},
                "direct_response": {
                    "status": 404,
                    "body": {"inline_string": orjson.dumps(problem).decode()},
                },
                "response_headers_to_add": [set_header("content-type", "application/problem+json")],
            }
        ],
    }


def route_table(hosts: Sequence[Resource]) -> Resource:
    """The one route table: every release's virtual hosts, and an answer for unknown hosts."""
    domains = [domain for host in hosts for domain in host["domains"]]
    every = list(hosts)
    if "*" not in domains:
        every.append(fallback_host(domains))
    return typed(
        "envoy.config.route.v3.RouteConfiguration",
        name=ROUTE_CONFIG,
        # Without it a route to an unknown cluster is accepted, and users get 503.
        validate_clusters=True,
        ignore_port_in_host_matching=True,
        # By name and not with a filter for the prefix: that costs 4% of a request's CPU.
        request_headers_to_remove=list(OWN_HEADERS),
        virtual_hosts=every,
    )

"""Routing and acknowledgements as JSON, between controller and agents.

Strict both ways: what is not understood is refused with every fault, never guessed. The keys are
the fields of ``sluice.nouns``.
"""

from collections.abc import Sequence
from dataclasses import asdict
from ipaddress import ip_address
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter
from pydantic import ValidationError as PydanticError

from sluice.errors import Fault, InvariantError, SpecError
from sluice.nouns import (
    BP_TOTAL,
    Ack,
    Arm,
    Capture,
    Endpoint,
    Fragment,
    Match,
    Purpose,
    RevisionId,
    Routing,
    Shield,
    Sticky,
)

MAX_BYTES = 4 << 20
"""Largest fragment that is read, bytes: 1,000 endpoints are under a tenth of it."""
_DAY_MS = 24 * 3600 * 1000


def _is_address(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        raise ValueError("must be an IPv4 or IPv6 address: Envoy resolves no names here") from None
    return text


def _text(pattern: str, length: int) -> StringConstraints:
    return StringConstraints(strict=True, pattern=pattern, min_length=1, max_length=length)


ReleaseName = Annotated[str, _text(r"^[a-z0-9]([a-z0-9._/-]*[a-z0-9])?$", 253)]
RevisionName = Annotated[str, _text(r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", 63)]
EndpointName = Annotated[str, _text(r"^[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?$", 253)]
Address = Annotated[str, _text(r"^[0-9A-Fa-f.:]+$", 45), AfterValidator(_is_address)]
HostName = Annotated[
    str, _text(r"^(\*|(\*\.)?[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_-]+)*)$", 253)
]
HeaderName = Annotated[str, _text(r"^[A-Za-z0-9][A-Za-z0-9_-]*$", 100)]
HeaderValue = Annotated[str, _text(r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$", 256)]
CookieName = Annotated[str, _text(r"^[A-Za-z0-9_-]+$", 100)]
Salt = Annotated[str, _text(r"^[A-Za-z0-9._:/@-]+$", 320)]
"""No backslash: it goes into a substitution."""
Milliseconds = Annotated[int, Field(strict=True, ge=1, le=_DAY_MS)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Endpoint(_Wire):
    name: EndpointName
    host: Address
    port: Annotated[int, Field(strict=True, ge=1, le=65_535)]


class _Match(_Wire):
    header: HeaderName
    value: HeaderValue

    def noun(self) -> Match:
        return Match(header=self.header.lower(), value=self.value)


class _Arm(_Wire):
    revision: RevisionName
    purpose: Purpose = Purpose.LIVE
    weight_bp: Annotated[int, Field(strict=True, ge=0, le=BP_TOTAL)] = 0
    match: _Match | None = None
    hosts: Annotated[tuple[HostName, ...], Field(max_length=50)] = ()

    def noun(self) -> Arm:
        return Arm(
            revision=RevisionId(self.revision),
            purpose=self.purpose,
            weight_bp=self.weight_bp,
            match=self.match.noun() if self.match else None,
            hosts=self.hosts,
        )


class _Sticky(_Wire):
    header: HeaderName | None = None
    cookie: CookieName | None = None
    salt: Salt

    def noun(self) -> Sticky:
        if not self.header and not self.cookie:
            raise InvariantError("sticky needs a header or a cookie")
        header = self.header.lower() if self.header else None
        return Sticky(header=header, cookie=self.cookie, salt=self.salt)


class _Shield(_Wire):
    per_try_timeout_ms: Milliseconds
    max_body_bytes: Annotated[int, Field(strict=True, ge=1, le=64 << 20)] = 1 << 20


class _Capture(_Wire):
    noise_bp: Annotated[int, Field(strict=True, ge=0, le=BP_TOTAL)] = 0


class _Routing(_Wire):
    release: ReleaseName
    generation: Annotated[int, Field(strict=True, ge=1, le=2**53)]
    arms: Annotated[tuple[_Arm, ...], Field(min_length=1, max_length=50)]
    hosts: Annotated[tuple[HostName, ...], Field(min_length=1, max_length=50)]
    timeout_ms: Milliseconds = 30_000
    sticky: _Sticky | None = None
    shield: _Shield | None = None
    lease_ms: Milliseconds | None = None
    no_mirror: Annotated[tuple[_Match, ...], Field(max_length=20)] = ()
    capture: _Capture | None = None

    def noun(self) -> Routing:
        return Routing(
            release=self.release,
            generation=self.generation,
            arms=tuple(arm.noun() for arm in self.arms),
            hosts=self.hosts,
            timeout_ms=self.timeout_ms,
            sticky=self.sticky.noun() if self.sticky else None,
            shield=Shield(**self.shield.model_dump()) if self.shield else None,
            lease_ms=self.lease_ms,
            no_mirror=tuple(match.noun() for match in self.no_mirror),
            capture=Capture(**self.capture.model_dump()) if self.capture else None,
        )


class _Fragment(_Wire):
    routing: _Routing
    endpoints: dict[RevisionName, Annotated[tuple[_Endpoint, ...], Field(max_length=5_000)]]


class _Ack(_Wire):
    router: Annotated[str, _text(r"^\S+$", 253)]
    release: ReleaseName
    generation: Annotated[int, Field(strict=True, ge=0, le=2**53)]
    lease_expired: Annotated[bool, Field(strict=True)] = False
    error: Annotated[str, Field(strict=True, max_length=10_000)] = ""


class _Acks(_Wire):
    acks: tuple[_Ack, ...]


class _Releases(_Wire):
    releases: Annotated[tuple[ReleaseName, ...], Field(max_length=100_000)]


_FRAGMENT = TypeAdapter(_Fragment)
_ROUTING = TypeAdapter(_Routing)
_ACK = TypeAdapter(_Ack)
_ACKS = TypeAdapter(_Acks)
_RELEASES = TypeAdapter(_Releases)


def _faults(error: PydanticError) -> SpecError:
    return SpecError(
        [
            Fault(path=".".join(map(str, item["loc"])) or "(document)", reason=item["msg"])
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    )


def encode_fragment(fragment: Fragment) -> bytes:
    """A fragment as JSON."""
    return orjson.dumps({"routing": asdict(fragment.routing), "endpoints": _endpoints(fragment)})


def _endpoints(fragment: Fragment) -> dict[str, list[dict[str, object]]]:
    return {
        revision: [asdict(endpoint) for endpoint in endpoints]
        for revision, endpoints in fragment.endpoints.items()
    }


def decode_fragment(data: bytes) -> Fragment:
    """The fragment in ``data``.

    Raises:
        SpecError: it cannot be used; lists every fault.
    """
    if len(data) > MAX_BYTES:
        raise SpecError([Fault(path="(document)", reason=f"is larger than {MAX_BYTES} bytes")])
    try:
        wire = _FRAGMENT.validate_json(data)
    except PydanticError as error:
        raise _faults(error) from error
    try:
        routing = wire.routing.noun()
    except InvariantError as error:
        raise SpecError([Fault(path="routing", reason=str(error))]) from error
    endpoints = {
        RevisionId(revision): tuple(Endpoint(**item.model_dump()) for item in items)
        for revision, items in wire.endpoints.items()
    }
    fragment = Fragment(routing=routing, endpoints=endpoints)
    faults = fragment_faults(fragment)
    if faults:
        raise SpecError(faults)
    return fragment


def fragment_faults(fragment: Fragment) -> list[Fault]:
    """What makes a fragment unusable although each field is fine."""
    faults = []
    routing = fragment.routing
    for revision in dict.fromkeys(arm.revision for arm in routing.arms):
        if revision not in fragment.endpoints:
            reason = "the routing names it: give its endpoints, or an empty list"
            faults.append(Fault(path=f"endpoints.{revision}", reason=reason))
    for revision, endpoints in fragment.endpoints.items():
        names = [endpoint.name for endpoint in endpoints]
        if len(set(names)) != len(names):
            faults.append(Fault(path=f"endpoints.{revision}", reason="a name occurs twice"))
        addresses = [endpoint.address for endpoint in endpoints]
        if len(set(addresses)) != len(addresses):
            faults.append(Fault(path=f"endpoints.{revision}", reason="an address occurs twice"))
    hosts = [host.lower() for host in claimed_hosts(routing)]
    faults.extend(
        Fault(path="routing.hosts", reason=f"{host} is claimed twice")
        for host in sorted({host for host in hosts if hosts.count(host) > 1})
    )
    matches = [arm.match for arm in routing.arms if arm.match is not None]
    if len(set(matches)) != len(matches):
        faults.append(Fault(path="routing.arms", reason="two arms have the same match"))
    mirrored = [arm.revision for arm in routing.arms if arm.purpose is Purpose.MIRROR]
    if len(set(mirrored)) != len(mirrored):
        faults.append(Fault(path="routing.arms", reason="a revision is mirrored to twice"))
    if routing.capture is not None and routing.fallback in mirrored:
        reason = "stable is mirrored to: captured answers could not be told apart"
        faults.append(Fault(path="routing.capture", reason=reason))
    return faults


def claimed_hosts(routing: Routing) -> tuple[str, ...]:
    """Every host that a routing takes for itself, those of previews included."""
    preview = [host for arm in routing.arms for host in arm.hosts]
    return (*routing.hosts, *preview)


def routing_record(routing: Routing) -> dict[str, Any]:
    """A routing as plain JSON values: what ``status.routing`` of a Release holds."""
    record: dict[str, Any] = orjson.loads(orjson.dumps(asdict(routing)))
    return record


def decode_routing(record: object) -> Routing:
    """The routing in a record.

    Raises:
        SpecError: it cannot be used; lists every fault.
    """
    try:
        return _ROUTING.validate_python(record).noun()
    except PydanticError as error:
        raise _faults(error) from error
    except InvariantError as error:
        raise SpecError([Fault(path="routing", reason=str(error))]) from error


def encode_ack(ack: Ack) -> bytes:
    """An acknowledgement as JSON."""
    return orjson.dumps(asdict(ack))


def encode_acks(acks: Sequence[Ack]) -> bytes:
    """Acknowledgements as JSON."""
    return orjson.dumps({"acks": [asdict(ack) for ack in acks]})


def decode_ack(data: bytes) -> Ack:
    """The acknowledgement in ``data``.

    Raises:
        SpecError: it cannot be used; lists every fault.
    """
    try:
        return Ack(**_ACK.validate_json(data).model_dump())
    except PydanticError as error:
        raise _faults(error) from error


def decode_acks(data: bytes) -> tuple[Ack, ...]:
    """The acknowledgements in ``data``.

    Raises:
        SpecError: they cannot be used; lists every fault.
    """
    try:
        return tuple(Ack(**item.model_dump()) for item in _ACKS.validate_json(data).acks)
    except PydanticError as error:
        raise _faults(error) from error


def encode_releases(releases: Sequence[str]) -> bytes:
    """Names of releases, whose leases are renewed, as JSON."""
    return orjson.dumps({"releases": list(releases)})


def decode_releases(data: bytes) -> tuple[str, ...]:
    """The names of releases in ``data``.

    Raises:
        SpecError: they cannot be used; lists every fault.
    """
    try:
        return _RELEASES.validate_json(data).releases
    except PydanticError as error:
        raise _faults(error) from error

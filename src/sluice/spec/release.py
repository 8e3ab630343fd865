"""Release: what runs, how it is reached, and by which strategy a new revision becomes stable."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field
from pydantic_core import PydanticCustomError

from sluice.spec.abtest import FIRST
from sluice.spec.along import stages_of
from sluice.spec.base import Loc, Model, Related, Relation
from sluice.spec.bluegreen import BlueGreen
from sluice.spec.links import get
from sluice.spec.rolling import room_faults
from sluice.spec.scalars import (
    Cookie,
    Digest,
    Duration,
    Header,
    Host,
    Name,
    Port,
    PositiveDuration,
    ReleaseName,
    Text,
    UserHeader,
    Whole,
    format_duration,
    parse_duration,
    shown,
)
from sluice.spec.scaling import Autoscaling, DisruptionBudget, scaling_faults
from sluice.spec.strategy import STRATEGIES, Strategy
from sluice.spec.template import PodTemplate, items, port_names


class Metadata(Model):
    """Name and labels, as in Kubernetes."""

    name: ReleaseName
    """Name of the release, and the default of ``spec.traffic.hosts``."""
    namespace: Name | None = None
    """Namespace in the cluster; without meaning on a laptop."""
    labels: dict[Text, Text] = Field(default_factory=dict)
    """For selecting and grouping releases."""
    annotations: dict[Text, Text] = Field(default_factory=dict)
    """Anything; keys that begin with ``sluice.dev/`` are ours."""


class ModelRef(Model):
    """The model that the image serves, where the image does not contain it."""

    digest: Digest
    """Digest of the model bundle; part of the revision."""


class Tracked(Related):
    """Config that belongs to the revision: a change of it is a new candidate."""

    config_maps: tuple[Name, ...] = Field(default=(), max_length=100)
    """Names of ConfigMaps."""
    secrets: tuple[Name, ...] = Field(default=(), max_length=100)
    """Names of Secrets."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """Each once."""
        yield from _once(raw, "configMaps")
        yield from _once(raw, "secrets")


class StickySpec(Related):
    """The same user goes to the same revision while weights stand."""

    header: UserHeader | None = None
    """Request header that names the user; looked at first."""
    cookie: Cookie | None = None
    """Cookie that names the user; issued by the router to users who have neither."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """Something must name the user."""
        if raw.get("header") is None and raw.get("cookie") is None:
            yield (), "name the user by a header, a cookie or both"


class HeaderMatch(Model):
    """A request header with this value."""

    header: UserHeader
    """Name of the header."""
    value: Text
    """Its whole value."""


class Traffic(Related):
    """How clients reach the release."""

    hosts: tuple[Host, ...] | None = Field(default=None, min_length=1, max_length=100)
    """Host names without port; ``*`` takes what no other release claims. Default: the name."""
    port: Port = "http"
    """Name or number of the container port that takes requests."""
    timeout_ms: PositiveDuration = Field(default=30_000, alias="timeout")
    """Time for a whole answer; a request over it fails."""
    sticky: StickySpec | None = None
    """Keep users on their revision; without it each request is drawn anew."""
    forced_header: Header | None = None
    """Requests with this header choose their revision by ``stable`` or ``candidate``; they are
    counted apart and judge nothing."""
    no_mirror: tuple[HeaderMatch, ...] = Field(default=(), max_length=100)
    """Requests that must not be repeated: never mirrored."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """A host is claimed once; the forced-arm header is not the user's."""
        yield from _once(raw, "hosts")
        sticky, forced = raw.get("sticky"), raw.get("forcedHeader")
        header = sticky.get("header") if isinstance(sticky, Mapping) else None
        if isinstance(forced, str) and isinstance(header, str) and forced.lower() == header.lower():
            reason = f"{shown(forced)} names the user in sticky: choose another header"
            yield ("forcedHeader",), reason


def _once(raw: Mapping[str, Any], key: str) -> Iterator[Relation]:
    seen: set[str] = set()
    for i, name in enumerate(items(raw, key)):
        if isinstance(name, str) and name in seen:
            yield (key, i), f"{shown(name)} is in the list twice"
        elif isinstance(name, str):
            seen.add(name)


class PolicyRef(Model):
    """The policy that judges the release."""

    name: Name
    """Name of a ReleasePolicy document."""


class ReleaseSpec(Related):
    """What is released and how."""

    replicas: Whole = Field(ge=1, le=10_000)
    """Size of each revision at full size."""
    model: ModelRef | None = None
    """Pins the model; what the revision cannot see in the image."""
    tracked: Tracked | None = None
    """ConfigMaps and Secrets whose content is part of the revision."""
    traffic: Traffic = Field(default_factory=Traffic)
    """Hosts, port, timeout, stickiness."""
    policy_ref: PolicyRef | None = None
    """ReleasePolicy to judge by; without it: one objective, 99% of answers below 500."""
    template: PodTemplate
    """Kubernetes PodTemplateSpec; a change of it is a new candidate."""
    strategy: Strategy
    """How a candidate becomes stable."""
    keep_warm_ms: Duration = Field(default=600_000, alias="keepWarm")
    """How long the old stable stays at full size after a promotion, so that undo is instant."""
    progress_deadline_ms: PositiveDuration = Field(default=600_000, alias="progressDeadline")
    """Time for the replicas of a new revision to become ready."""
    revision_history_limit: Whole = Field(default=10, ge=0, le=1_000)
    """Old revisions that are kept at size 0."""
    autoscaling: Autoscaling | None = None
    """Let Kubernetes add replicas by load; without meaning on a laptop."""
    disruption_budget: DisruptionBudget | None = None
    """How many replicas a drain of nodes may take at once; left out: one, where ``replicas`` is
    above one. Without meaning on a laptop."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """The port exists; the strategy fits replicas, timeout, users and hosts."""
        traffic = raw.get("traffic")
        traffic = traffic if isinstance(traffic, Mapping) else {}
        port = traffic.get("port", "http")
        yield from _port(("traffic", "port"), port, raw.get("template"))
        yield from _shields(raw.get("strategy"), traffic.get("timeout", "30s"))
        yield from scaling_faults(raw)
        for loc, stage in stages_of(raw.get("strategy")):
            at: Loc = ("strategy", *loc)
            for below, reason in room_faults(stage.get("rolling"), raw.get("replicas")):
                yield (*at, "rolling", *below), reason
            yield from _test((*at, "abTest"), stage.get("abTest"), traffic)
            yield from _headers(at, stage, traffic)


def _port(at: Loc, port: object, template: object) -> Iterator[Relation]:
    names = port_names(template)
    if isinstance(port, str) and items(template, "spec", "containers") and port not in names:
        there = f"; its ports are named {', '.join(map(shown, names))}" if names else ""
        reason = f"no container of the template has a port named {shown(port)}{there}"
        yield at, f"{reason}: name the port that takes requests"


def _test(at: Loc, test: object, traffic: Mapping[str, Any]) -> Iterator[Relation]:
    """A test needs users that stay, and variants that listen."""
    if not isinstance(test, Mapping):
        return
    if traffic.get("sticky") is None:
        reason = "keeps users on their variant: add traffic: {sticky: {cookie: sluice_uid}}"
        yield at, f"{reason}, or the header that names them"
    for i, variant in enumerate(items(test, "variants")):
        if isinstance(variant, Mapping) and variant.get("name") != FIRST:
            place: Loc = (*at, "variants", i, "template")
            yield from _port(place, traffic.get("port", "http"), variant.get("template"))


def _headers(at: Loc, stage: Mapping[str, Any], traffic: Mapping[str, Any]) -> Iterator[Relation]:
    """A header that chooses the candidate is not the one that names the user."""
    sticky = traffic.get("sticky")
    user = sticky.get("header") if isinstance(sticky, Mapping) else None
    places: list[tuple[Loc, object]] = [
        (("blueGreen", "preview", "header"), get(stage, "blueGreen", "preview", "header")),
        (("abTest", "forcedHeader"), get(stage, "abTest", "forcedHeader")),
    ]
    places += [
        (("canary", "steps", i, "headerOnly", "header"), get(step, "headerOnly", "header"))
        for i, step in enumerate(items(stage, "canary", "steps"))
    ]
    for loc, header in places:
        if isinstance(header, str) and isinstance(user, str) and header.lower() == user.lower():
            reason = f"{shown(header)} names the user in sticky: choose another header"
            yield (*at, *loc), reason


def _shields(strategy: object, timeout: object) -> Iterator[Relation]:
    try:
        timeout_ms = parse_duration(timeout)
    except PydanticCustomError:
        return
    for loc, stage in stages_of(strategy):
        for key in STRATEGIES:
            try:
                tries_ms = parse_duration(get(stage, key, "shield", "perTryTimeout"))
            except PydanticCustomError:
                continue
            if tries_ms >= timeout_ms:
                yield (
                    ("strategy", *loc, key, "shield", "perTryTimeout"),
                    f"{format_duration(tries_ms)} leaves stable no time: it must be below "
                    f"traffic.timeout, {format_duration(timeout_ms)}",
                )


class Release(Model):
    """One served model: its revisions, its traffic and its strategy."""

    api_version: Literal["sluice.dev/v1alpha1"]
    kind: Literal["Release"]
    metadata: Metadata
    spec: ReleaseSpec

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host names of the release; its own name when the file gives none."""
        return self.spec.traffic.hosts or (self.metadata.name,)

    def preview_hosts(self, stage: BlueGreen) -> tuple[str, ...]:
        """Hosts that are the candidate's during a blue/green stage."""
        given = stage.preview.hosts
        return (f"preview.{self.metadata.name}",) if given is None else given

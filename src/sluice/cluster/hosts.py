"""Which release of a cluster answers to which host name.

All releases behind one router share its host names. Who was there first keeps a name: a release
that comes later must not take users away from another one, in whatever namespace it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from sluice.cluster.keys import Object, key_of
from sluice.spec.along import stages_of
from sluice.spec.links import get
from sluice.spec.template import items

PREVIEW = "preview"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The host names of one release."""

    live: tuple[str, ...]
    """For users."""
    preview: tuple[str, ...]
    """For the candidate of a blue/green stage that names none of its own."""
    taken: tuple[tuple[str, str], ...] = ()
    """(host, key of the release that has it): asked for, and not given."""


def default_hosts(namespace: str, name: str) -> tuple[str, ...]:
    """Names under which a Service answers inside a cluster, but for the bare one."""
    return f"{name}.{namespace}", f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local"


def assign(releases: Iterable[Object]) -> Mapping[str, Hosts]:
    """Host names of every release, by key; the oldest release comes first.

    The bare name is given too, as long as no older release of another namespace has it: it is what
    a client in the same namespace writes.
    """
    owners: dict[str, str] = {}
    found = {}
    for release in sorted(releases, key=_age):
        found[key_of(release)] = _assigned(release, owners)
    return found


def _assigned(release: Object, owners: dict[str, str]) -> Hosts:
    key = key_of(release)
    namespace, name = release["metadata"]["namespace"], release["metadata"]["name"]
    spec = release.get("spec")
    taken: dict[str, str] = {}

    def mine(hosts: Iterable[object]) -> list[str]:
        got = []
        for host in hosts:
            if not isinstance(host, str):
                continue
            owner = owners.setdefault(host.lower(), key)
            if owner == key:
                got.append(host)
            else:
                taken[host] = owner
        return got

    given = mine(items(spec, "traffic", "hosts"))
    own = mine(default_hosts(namespace, name))
    bare = name if owners.setdefault(name, key) == key else ""
    for _, preview in _previews(get(spec, "strategy")):
        mine(items(preview, "hosts"))
    names = [PREVIEW + "." + host for host in (*own, bare) if host]
    return Hosts(
        live=tuple(dict.fromkeys([*given, *own, *([bare] if bare else [])])),
        preview=tuple(mine(names)),
        taken=tuple(taken.items()),
    )


def with_hosts(document: Mapping[str, Any], hosts: Hosts) -> dict[str, Any]:
    """A checked release document that asks for these host names, and no others."""
    changed = deepcopy(dict(document))
    spec = changed["spec"]
    spec["traffic"] = {**(spec.get("traffic") or {}), "hosts": list(hosts.live)}
    lost = {host for host, _ in hosts.taken}
    for stage, preview in _previews(spec["strategy"]):
        given = preview.get("hosts")
        left = hosts.preview if given is None else [h for h in given if h not in lost]
        stage["preview"] = {**preview, "hosts": list(left)}
    return changed


def _previews(strategy: object) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """Every blue/green stage, with what it says of its preview."""
    for _, stage in stages_of(strategy):
        inner = stage.get("blueGreen")
        if isinstance(inner, dict):
            preview = inner.get("preview")
            yield inner, preview if isinstance(preview, Mapping) else {}


def _age(release: Object) -> tuple[str, str]:
    return str(release["metadata"].get("creationTimestamp", "")), key_of(release)


def conflicts(hosts: Hosts) -> Sequence[str]:
    """What is said of names that another release has, one line each."""
    return [
        f"host {host} belongs to release {owner}, which is older: requests for it go there"
        for host, owner in hosts.taken
    ]

"""The kinds of objects that Sluice reads or writes, and where the API server keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sluice.errors import InvariantError


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One resource of the API server."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    """As in paths and in RBAC rules."""
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As in an object's ``apiVersion``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """As ``kubectl`` names it: ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """Path at the API server; all namespaces when ``namespace`` is None."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts += [self.plural, *([name] if name else []), *([subresource] if subresource else [])]
        return "/" + "/".join(quote(part, safe="") for part in parts)

    def new(self, name: str, namespace: str | None = None, **parts: Any) -> dict[str, Any]:
        """An object of this kind; ``parts`` are its further top-level fields."""
        metadata = {"name": name}
        if self.namespaced and namespace is not None:
            metadata["namespace"] = namespace
        return {"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata, **parts}


RELEASE = Kind(group="sluice.dev", version="v1alpha1", plural="releases", kind="Release")
RELEASE_POLICY = Kind(
    group="sluice.dev", version="v1alpha1", plural="releasepolicies", kind="ReleasePolicy"
)
CONFIG_MAP = Kind(group="", version="v1", plural="configmaps", kind="ConfigMap")
SECRET = Kind(group="", version="v1", plural="secrets", kind="Secret")
POD = Kind(group="", version="v1", plural="pods", kind="Pod")
SERVICE = Kind(group="", version="v1", plural="services", kind="Service")
SERVICE_ACCOUNT = Kind(group="", version="v1", plural="serviceaccounts", kind="ServiceAccount")
NAMESPACE = Kind(group="", version="v1", plural="namespaces", kind="Namespace", namespaced=False)
NODE = Kind(group="", version="v1", plural="nodes", kind="Node", namespaced=False)
EVENT = Kind(group="events.k8s.io", version="v1", plural="events", kind="Event")
DEPLOYMENT = Kind(group="apps", version="v1", plural="deployments", kind="Deployment")
REPLICA_SET = Kind(group="apps", version="v1", plural="replicasets", kind="ReplicaSet")
ENDPOINT_SLICE = Kind(
    group="discovery.k8s.io", version="v1", plural="endpointslices", kind="EndpointSlice"
)
JOB = Kind(group="batch", version="v1", plural="jobs", kind="Job")
HPA = Kind(
    group="autoscaling",
    version="v2",
    plural="horizontalpodautoscalers",
    kind="HorizontalPodAutoscaler",
)
PDB = Kind(group="policy", version="v1", plural="poddisruptionbudgets", kind="PodDisruptionBudget")
LEASE = Kind(group="coordination.k8s.io", version="v1", plural="leases", kind="Lease")
HTTP_ROUTE = Kind(
    group="gateway.networking.k8s.io", version="v1", plural="httproutes", kind="HTTPRoute"
)
GATEWAY = Kind(group="gateway.networking.k8s.io", version="v1", plural="gateways", kind="Gateway")
CRD = Kind(
    group="apiextensions.k8s.io",
    version="v1",
    plural="customresourcedefinitions",
    kind="CustomResourceDefinition",
    namespaced=False,
)

KINDS = (
    RELEASE,
    RELEASE_POLICY,
    CONFIG_MAP,
    SECRET,
    POD,
    SERVICE,
    SERVICE_ACCOUNT,
    NAMESPACE,
    NODE,
    EVENT,
    DEPLOYMENT,
    REPLICA_SET,
    ENDPOINT_SLICE,
    JOB,
    HPA,
    PDB,
    LEASE,
    HTTP_ROUTE,
    GATEWAY,
    CRD,
)
_BY_NAME = {(kind.api_version, kind.kind): kind for kind in KINDS}


def kind_of(obj: Mapping[str, Any]) -> Kind:
    """The kind that an object says it is.

    Raises:
        InvariantError: it is none of :data:`KINDS`.
    """
    said = (obj.get("apiVersion"), obj.get("kind"))
    try:
        return _BY_NAME[said]  # type: ignore[index]  # what is no pair of strings is not found
    except (KeyError, TypeError) as error:
        raise InvariantError(f"{said[1]} of {said[0]} is no kind that Sluice speaks") from error

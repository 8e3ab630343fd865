"""Spelling of the pod fields that Sluice does not read: Kubernetes would refuse them later."""

from collections.abc import Iterator

from sluice.spec.base import Relation
from sluice.spec.template import Container, PodSpec
from sluice.spec.words import fields, nearest

POD_FIELDS = frozenset(
    """
    activeDeadlineSeconds affinity automountServiceAccountToken containers dnsConfig dnsPolicy
    enableServiceLinks ephemeralContainers hostAliases hostIPC hostNetwork hostPID hostUsers
    hostname hostnameOverride imagePullSecrets initContainers nodeName nodeSelector os overhead
    preemptionPolicy priority priorityClassName readinessGates resourceClaims resources
    restartPolicy runtimeClassName schedulerName schedulingGates securityContext serviceAccount
    serviceAccountName setHostnameAsFQDN shareProcessNamespace subdomain
    terminationGracePeriodSeconds tolerations topologySpreadConstraints volumes
    """.split()  # noqa: SIM905  # forty words read better than forty lines
)
CONTAINER_FIELDS = frozenset(
    """
    args command env envFrom image imagePullPolicy lifecycle livenessProbe name ports
    readinessProbe resizePolicy resources restartPolicy restartPolicyRules securityContext
    startupProbe stdin stdinOnce terminationMessagePath terminationMessagePolicy tty volumeDevices
    volumeMounts workingDir
    """.split()  # noqa: SIM905  # forty words read better than forty lines
)
"""Fields of Kubernetes 1.34. A newer one is only a warning here, never a refusal."""


def misspelt(pod: PodSpec) -> Iterator[Relation]:
    """Fields of the pod and its containers that Kubernetes does not have."""
    yield from _unknown(pod, POD_FIELDS, ())
    for i, container in enumerate(pod.containers):
        yield from _unknown(container, CONTAINER_FIELDS, ("containers", i))


def _unknown(
    part: PodSpec | Container, known: frozenset[str], loc: tuple[str | int, ...]
) -> Iterator[Relation]:
    choices = sorted(known | set(fields(type(part))))
    for key in part.model_extra or {}:
        if key not in known:
            hint = nearest(key, choices)
            yield (*loc, key), f"Kubernetes has no such field{hint or ': is it spelt right?'}"

"""The documents of a story's release, as a user would write them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RELEASE = "taxi"


@dataclass(kw_only=True)
class Papers:
    """A release, its policy and its SLOs; worlds add what runs."""

    replicas: int = 2
    strategy: dict[str, Any] = field(default_factory=lambda: {"canary": {}})
    policy: dict[str, Any] = field(default_factory=dict)
    slos: list[dict[str, Any]] = field(default_factory=list)
    spec: dict[str, Any] = field(default_factory=dict)

    def slo(self, target: float, *, le_s: str | None = None) -> None:
        """One more objective: availability, or latency with a threshold in seconds."""
        kind = "latency" if le_s else "availability"
        notes = {"sluice.dev/sli": kind, **({"sluice.dev/le": le_s} if le_s else {})}
        self.slos.append(
            {
                "apiVersion": "openslo/v1",
                "kind": "SLO",
                "metadata": {"name": f"{RELEASE}-{kind}", "annotations": notes},
                "spec": {
                    "service": RELEASE,
                    "timeWindow": [{"duration": "30d", "isRolling": True}],
                    "budgetingMethod": "Occurrences",
                    "objectives": [{"displayName": "good", "target": target}],
                },
            }
        )
        self.policy.setdefault("objectives", []).append({"sloRef": f"{RELEASE}-{kind}"})

    def documents(
        self, version: str, command: Sequence[str], env: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """All of them, for one version of what runs."""
        container = {
            "name": "model",
            "image": "registry.example/taxi:1",
            "command": list(command),
            "env": [{"name": name, "value": value} for name, value in env.items()],
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
        }
        release = {
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "Release",
            "metadata": {"name": RELEASE},
            "spec": {
                "replicas": self.replicas,
                "keepWarm": "60s",
                "progressDeadline": "60s",
                "policyRef": {"name": RELEASE},
                "strategy": self.strategy,
                "template": {
                    "metadata": {"labels": {"app.kubernetes.io/version": version}},
                    "spec": {"containers": [container]},
                },
                **self.spec,
            },
        }
        policy = {
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "ReleasePolicy",
            "metadata": {"name": RELEASE},
            "spec": self.policy,
        }
        return [release, policy, *self.slos]

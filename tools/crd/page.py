"""What the reference of the documents says about them in a cluster."""

from tools.crd.exceptions import LEFT

_BY = {
    "server": "the API server, in its own words",
    "controller": "the controller: `Accepted=False`",
    "nobody": "nobody: it counts as left out",
}
_HEAD = """
## In a cluster

Release and ReleasePolicy are custom resources there (`releases.sluice.dev`, short `rel`, and
`releasepolicies.sluice.dev`, short `rp`; `kubectl get sluice` lists both). An SLO is kept in a
ConfigMap labelled `sluice.dev/slo: "true"`, every key of which holds OpenSLO documents.
`kubectl explain release.spec.strategy` prints this page's words. `kubectl scale release/taxi
--replicas=6` changes `spec.replicas`.

The API server checks what `sluice lint` checks, by rules in CEL that say the same words, so that
`kubectl apply` refuses a file as `sluice deploy` does. It needs Kubernetes 1.29 or later. Defaults
of single values are filled in; nothing is ever added to a pod template, and no field of it is
dropped, so that a revision has the same name on a laptop and in every cluster. What only the
controller says stands in the condition `Accepted` of the Release: it keeps what runs and takes the
new document when the fault is gone. What no rule says:

| what is wrong | who says it | why no rule does |
|---|---|---|
"""


def section() -> str:
    """The chapter about clusters."""
    rows = [f"| {left.what} | {_BY[left.by]} | {left.why} |\n" for left in LEFT]
    return _HEAD + "".join(rows)

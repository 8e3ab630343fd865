"""The analysis of a pass as JSON and back, exactly: numbers survive to the last bit."""

from collections.abc import Mapping
from typing import Any

from sluice.analysis.mixture import Mixture
from sluice.analysis.order import Order, Slower
from sluice.analysis.pods import Pod
from sluice.analysis.srm import SrmState
from sluice.analysis.state import AnalysisState, Mark, ObjectiveState
from sluice.errors import StateError
from sluice.nouns import Purpose, RevisionId

_FORMAT = 3


def to_json(state: AnalysisState) -> dict[str, Any]:
    """The state as plain JSON values; ``from_json`` gives back an equal state."""
    return {
        "format": _FORMAT,
        "compares": state.compares,
        "shielded": state.shielded,
        "generation": state.generation,
        "user_shares": list(state.user_shares),
        "taken_ms": state.taken_ms,
        "purpose": state.purpose,
        "sick": state.sick,
        "spared": [list(item) for item in state.spared],
        "clients": _mixture_to_json(state.clients),
        "client_counts": list(state.client_counts),
        "srm": [list(state.srm.shares), list(state.srm.counts), state.srm.before, state.srm.peak],
        "order": _order_to_json(state.order) if state.order else None,
        "pods": [[p.name, p.requests, p.bad, list(p.slo), list(p.regression)] for p in state.pods],
        "log_e": state.log_e,
        "peak": state.peak,
        "marks": [
            [
                m.router,
                m.epoch,
                m.revision,
                m.purpose,
                [list(pair) for pair in m.counts],
                m.shielded,
                m.total,
                m.client_errors,
                m.begun,
                m.users,
                list(m.slower),
                [list(pod) for pod in m.pods],
            ]
            for m in state.marks
        ],
        "objectives": [
            {
                "counts": [o.n_candidate, o.bad_candidate, o.n_stable, o.bad_stable],
                "slo": _mixture_to_json(o.slo),
                "regression": _mixture_to_json(o.regression),
                "ratio": _mixture_to_json(o.ratio),
                "budget": _mixture_to_json(o.budget),
                "incident": list(o.incident),
                "harmed": o.harmed,
            }
            for o in state.objectives
        ],
    }


def from_json(record: Mapping[str, Any]) -> AnalysisState:
    """The state that ``to_json`` wrote.

    Raises:
        StateError: the record is not one of ours, or of a format that this version cannot read.
    """
    if record.get("format") != _FORMAT:
        raise StateError(f"analysis state has format {record.get('format')}, not {_FORMAT}")
    try:
        return AnalysisState(
            compares=bool(record["compares"]),
            shielded=int(record["shielded"]),
            log_e=float(record["log_e"]),
            peak=float(record["peak"]),
            generation=int(record["generation"]),
            user_shares=tuple(float(share) for share in record["user_shares"]),
            taken_ms=int(record["taken_ms"]),
            purpose=Purpose(record["purpose"]),
            sick=str(record["sick"]),
            spared=tuple((str(name), int(until)) for name, until in record["spared"]),
            clients=_mixture_from_json(record["clients"]),
            client_counts=_four(record["client_counts"]),
            srm=_srm_from_json(record["srm"]),
            order=_order_from_json(record["order"]) if record["order"] else None,
            pods=tuple(_pod_from_json(entry) for entry in record["pods"]),
            marks=tuple(_mark_from_json(entry) for entry in record["marks"]),
            objectives=tuple(_objective_from_json(entry) for entry in record["objectives"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"analysis state cannot be read: {error!r}") from error


def _mark_from_json(entry: Any) -> Mark:
    router, epoch, revision, purpose, counts, shielded, *sums, users, slower, pods = entry
    total, client_errors, begun = (int(item) for item in sums)
    return Mark(
        router=str(router),
        epoch=str(epoch),
        revision=RevisionId(revision),
        purpose=Purpose(purpose),
        counts=tuple((int(n), int(bad)) for n, bad in counts),
        shielded=int(shielded),
        total=total,
        client_errors=client_errors,
        begun=begun,
        users=None if users is None else int(users),
        slower=tuple(int(item) for item in slower),
        pods=tuple((str(name), int(n), int(bad)) for name, n, bad in pods),
    )


def _pod_from_json(entry: Any) -> Pod:
    name, requests, bad, slo, regression = entry
    return Pod(
        name=str(name),
        requests=int(requests),
        bad=int(bad),
        slo=tuple(float(weight) for weight in slo),
        regression=tuple(float(weight) for weight in regression),
    )


def _srm_from_json(entry: Any) -> SrmState:
    shares, counts, before, peak = entry
    return SrmState(
        shares=tuple(float(share) for share in shares),
        counts=tuple(int(count) for count in counts),
        before=float(before),
        peak=float(peak),
    )


def _order_to_json(order: Order) -> dict[str, Any]:
    return {
        "boundaries": list(order.boundaries),
        "history": [list(pair) for pair in order.history],
        "seen": [
            [s.n_candidate, s.above_candidate, s.n_stable, s.above_stable] for s in order.seen
        ],
        "mixture": _mixture_to_json(order.mixture),
    }


def _order_from_json(entry: Mapping[str, Any]) -> Order:
    seen = [_four(item) for item in entry["seen"]]
    return Order(
        boundaries=tuple(int(index) for index in entry["boundaries"]),
        history=tuple((float(slower), float(faster)) for slower, faster in entry["history"]),
        seen=tuple(
            Slower(n_candidate=a, above_candidate=b, n_stable=c, above_stable=d)
            for a, b, c, d in seen
        ),
        mixture=_mixture_from_json(entry["mixture"]),
    )


def _four(entry: Any) -> tuple[int, int, int, int]:
    a, b, c, d = (int(item) for item in entry)
    return a, b, c, d


def _objective_from_json(entry: Mapping[str, Any]) -> ObjectiveState:
    n_candidate, bad_candidate, n_stable, bad_stable = _four(entry["counts"])
    return ObjectiveState(
        n_candidate=n_candidate,
        bad_candidate=bad_candidate,
        n_stable=n_stable,
        bad_stable=bad_stable,
        slo=_mixture_from_json(entry["slo"]),
        regression=_mixture_from_json(entry["regression"]),
        ratio=_mixture_from_json(entry["ratio"]),
        budget=_mixture_from_json(entry["budget"]),
        incident=tuple(float(value) for value in entry["incident"]),
        harmed=int(entry["harmed"]),
    )


def _mixture_to_json(mixture: Mixture) -> list[Any]:
    head = [mixture.used, mixture.requests, mixture.log_e, mixture.peak]
    return [*head, list(mixture.log_weights)]


def _mixture_from_json(entry: Any) -> Mixture:
    used, requests, log_e, peak, log_weights = entry
    return Mixture(
        used=int(used),
        requests=int(requests),
        log_e=float(log_e),
        peak=float(peak),
        log_weights=tuple(float(weight) for weight in log_weights),
    )

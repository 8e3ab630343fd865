"""Documents that are wrong in one way: what ``sluice lint`` says, and who says it in a cluster."""

from dataclasses import dataclass
from typing import Any

from tests.unit.spec.documents import ANSWERED, FAST, POLICY, RELEASE, changed

from sluice.errors import SpecError
from sluice.spec import from_objects, to_plan

CONTAINER = RELEASE["spec"]["template"]["spec"]["containers"][0]
C0 = "spec/template/spec/containers/0"
STRATEGY = "spec/strategy"
GOAL = {"name": "tip", "kind": "continuous"}
STICKY = {"sticky": {"header": "x-user", "cookie": "uid"}}
HOOK = {"url": "https://a.example"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One wrong document."""

    id: str
    document: dict[str, Any]
    reason: str
    """What ``sluice.spec`` says of it."""
    by: str
    """``cel``, or the key of what is left (``tools.crd.exceptions``)."""
    said: str
    """What the API server says, where CEL says less than the loader."""

    def reasons(self) -> list[str]:
        """Every fault that the loader finds."""
        others = [o for o in (POLICY, ANSWERED, FAST) if o["kind"] != self.document["kind"]]
        if self.document["kind"] == "Release" and self.by == "documents":
            others = [ANSWERED]
        try:
            for release in from_objects([self.document, *others]).releases:
                to_plan(release)
        except SpecError as error:
            return [fault.reason for fault in error.faults]
        return []


def _case(
    key: str, changes: dict[str, Any], reason: str, base: dict[str, Any], by: str, said: str
) -> Case:
    document = changed(base, changes)
    return Case(id=key, document=document, reason=reason, by=by, said=said or reason)


def release(
    key: str, changes: dict[str, Any], reason: str, *, by: str = "cel", said: str = ""
) -> Case:
    return _case(key, changes, reason, RELEASE, by, said)


def policy(
    key: str, changes: dict[str, Any], reason: str, *, by: str = "cel", said: str = ""
) -> Case:
    return _case(key, changes, reason, POLICY, by, said)


def canary(key: str, steps: list[Any], reason: str, *, by: str = "cel") -> Case:
    return release(key, {STRATEGY: {"canary": {"steps": steps}}}, reason, by=by)


def stages(key: str, listed: list[Any], reason: str, *, by: str = "cel", **more: Any) -> Case:
    return release(key, {STRATEGY: {"stages": listed}, **more}, reason, by=by)


def ab_test(key: str, reason: str, *, by: str = "cel", said: str = "", **changes: Any) -> Case:
    ab = {"goals": [GOAL], "horizon": {"users": 9}, **changes}
    return release(
        key, {STRATEGY: {"abTest": ab}, "spec/traffic": STICKY}, reason, by=by, said=said
    )


def objective(key: str, given: list[Any], reason: str, **more: Any) -> Case:
    return policy(key, {"spec/objectives": given, **more}, reason)


def freeze(key: str, begin: str, end: str, reason: str) -> Case:
    return policy(key, {"spec/freeze": [{"from": begin, "to": end, "timeZone": "UTC"}]}, reason)


def variant(name: str, weight: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "weight": weight, **more}


TEMPLATE = RELEASE["spec"]["template"]
OTHER_PORT = {"spec": {"containers": [{**CONTAINER, "ports": [{"name": "x", "containerPort": 1}]}]}}
QUERY = {"name": "q", "target": 0.9, "bad": 'b{r="$revision"}', "total": 't{r="$revision"}'}
NO_PORT = 'no container of the template has a port named "grpc"'
NAME_IT = ": name the port that takes requests"

STRATEGIES = (
    release(
        "no-strategy",
        {STRATEGY: {}},
        "choose a strategy: canary or blueGreen or rolling or shadow or abTest or stages",
    ),
    release(
        "two-strategies",
        {STRATEGY: {"canary": {}, "rolling": {}, "stages": [{"canary": {}}]}},
        "one strategy only, not canary and rolling and stages: put several into stages",
    ),
    stages(
        "empty-stage",
        [{}],
        "choose a strategy: canary or blueGreen or rolling or shadow or abTest",
    ),
    stages(
        "two-in-a-stage",
        [{"blueGreen": {}, "shadow": {"percent": 5}}],
        "one strategy only, not blueGreen and shadow: put several into stages",
    ),
    stages(
        "switch-in-the-middle",
        [{"blueGreen": {}}, {"canary": {}}],
        "blueGreen ends with every user on the candidate: make it the last stage",
    ),
    stages(
        "rolling-in-the-middle",
        [{"rolling": {"maxSurge": 1}}, {"canary": {}}],
        "rolling ends with every user on the candidate: make it the last stage",
    ),
    stages(
        "shadow-after-users",
        [{"canary": {"steps": [{"pause": {}}, {"setWeight": 12.5}]}}, {"shadow": {"percent": 5}}],
        "begins without users, after the 12.5% of steps[1]: nobody is moved back, so put it first",
    ),
    stages(
        "switch-after-a-test",
        [{"abTest": {"goals": [GOAL], "horizon": {"users": 9}}}, {"blueGreen": {}}],
        "begins without users, after the 50% of abTest: nobody is moved back, so put it first",
        **{"spec/traffic": STICKY},
    ),
    stages(
        "rolling-after-users",
        [{"canary": {"steps": [{"setWeight": 25}]}}, {"rolling": {"maxSurge": 1}}],
        "begins without users, after the 25% of steps[0]: nobody is moved back, so put it first",
    ),
    stages(
        "rolling-without-surge-after-a-stage",
        [{"canary": {}}, {"rolling": {"maxSurge": "0%", "maxUnavailable": 1}}],
        "after a stage that needs replicas of the candidate: maxSurge cannot be 0",
    ),
    stages(
        "weight-below-an-earlier-stage",
        [{"canary": {"steps": [{"setWeight": 25}]}}, {"canary": {"steps": [{"setWeight": 5}]}}],
        "5 falls below the 25 of steps[0]: weights only grow; `sluice abort` is the way back",
        by="stages",
    ),
    stages(
        "test-below-an-earlier-stage",
        [
            {"canary": {"steps": [{"setWeight": 60}]}},
            {
                "abTest": {
                    "variants": [variant("candidate", 50)],
                    "goals": [GOAL],
                    "horizon": {"users": 9},
                }
            },
        ],
        "50 falls below the 60 of steps[0]: the candidate's users would be moved back",
        by="stages",
        **{"spec/traffic": STICKY},
    ),
    stages(
        "gate-of-an-earlier-stage",
        [
            {"canary": {"steps": [{"gate": {"name": "go"}}]}},
            {"blueGreen": {"gate": {"name": "go"}}},
        ],
        'gate "go" is already steps[0]: give each gate its own name',
        by="stages",
    ),
)
CANARIES = (
    stages(
        "steps-below-a-ramp",
        [{"canary": {}}, {"canary": {"steps": [{"setWeight": 5}]}}],
        "begins at 5%, below the 50% that the canary before it may reach: weights only grow",
        by="plan",
    ),
    canary(
        "falling-weight",
        [{"setWeight": 5}, {"setWeight": 25}, {"pause": {}}, {"setWeight": 12.5}],
        "12.5 falls below the 25 of steps[1]: weights only grow; `sluice abort` is the way back",
    ),
    canary(
        "staff-after-users",
        [{"setWeight": 5}, {"headerOnly": {"header": "x-staff", "value": "1"}}],
        "comes after the 5% of steps[0]: staff goes first",
    ),
    canary(
        "gate-twice",
        [{"pause": {}}, {"gate": {"name": "go"}}, {"setWeight": 5}, {"gate": {"name": "go"}}],
        'gate "go" is already steps[1]: give each gate its own name',
    ),
    canary("empty-step", [{}], "a step needs one of setWeight, pause, gate, headerOnly"),
    canary(
        "two-things-a-step",
        [{"setWeight": 5, "pause": {}}],
        "a step does one thing, not setWeight and pause: make it a list of steps",
    ),
    canary("empty-pause", [{"pause": None}], "is empty: write {} to wait for promote", by="null"),
    canary(
        "gate-asks-twice",
        [{"gate": {"name": "go", "http": {"path": "/"}, "webhook": HOOK}}],
        "a gate asks once, not by http and webhook: make it several gates",
    ),
    canary(
        "fine-weight",
        [{"setWeight": 5.125}],
        "5.125 is finer than 0.01 percent, which is the smallest share",
    ),
    canary(
        "whole-weight",
        [{"setWeight": 100}],
        "only promotion reaches 100%: leave this step out, the candidate gets every request when "
        "it has passed",
    ),
    canary("weight-over-all", [{"setWeight": 101}], "101 is over 100 percent", by="fields"),
    release(
        "empty-canary", {STRATEGY: {"canary": None}}, "is empty: write {} for the ramp", by="null"
    ),
    canary(
        "empty-gate",
        [{"gate": {"name": "go", "http": None, "webhook": None}}],
        "is empty: say what to ask, or remove it and a person is asked",
        by="null-optional",
    ),
)
CHECKS = (
    release(
        "check-asks-nothing",
        {STRATEGY: {"blueGreen": {"checks": [{}]}}},
        "a check needs one of http, command, webhook, load",
    ),
    release(
        "check-asks-twice",
        {STRATEGY: {"blueGreen": {"checks": [{"http": {"path": "/"}, "load": {"run": ["x"]}}]}}},
        "a check needs one of http, command, webhook, load, not http and load: make it several "
        "checks",
    ),
    release(
        "check-is-empty",
        {STRATEGY: {"blueGreen": {"checks": [{"http": None}]}}},
        "is empty: say what to ask",
        by="null",
    ),
    release(
        "check-without-address",
        {STRATEGY: {"blueGreen": {"checks": [{"http": {"method": "GET"}}]}}},
        "give path (asked of the candidate) or url, one of the two",
    ),
    release(
        "check-with-a-password",
        {STRATEGY: {"blueGreen": {"checks": [{"http": {"url": "https://a:b@c.example/d"}}]}}},
        "holds a name or a password: keep secrets in an environment variable",
    ),
    release(
        "check-with-a-text-for-status",
        {STRATEGY: {"blueGreen": {"checks": [{"http": {"path": "/", "status": "ok"}}]}}},
        'must be a status such as 200, or a list of them, not "ok"',
        by="open",
    ),
)
ROLLINGS = (
    release(
        "nothing-may-move",
        {STRATEGY: {"rolling": {"maxSurge": 0, "maxUnavailable": "0%"}}},
        "is 0, and so is maxUnavailable: no replica could ever be replaced",
    ),
    release(
        "nobody-left",
        {STRATEGY: {"rolling": {"maxUnavailable": "100%"}}},
        '"100%" of 2 leaves nobody to answer: keep at least one replica',
    ),
    release(
        "less-than-one",
        {STRATEGY: {"rolling": {"maxSurge": 0, "maxUnavailable": "25%"}}},
        '"25%" of 2 is less than one, and maxSurge is 0: no replica could ever be replaced',
    ),
    stages(
        "nobody-left-in-a-stage",
        [{"canary": {}}, {"rolling": {"maxUnavailable": 2}}],
        "2 of 2 leaves nobody to answer: keep at least one replica",
    ),
)
SHADOWS = (
    release(
        "compared-twice",
        {STRATEGY: {"shadow": {"percent": 5, "compare": [{"field": "a"}, {"field": "a"}]}}},
        '"a" has a rule already: keep one',
    ),
    release(
        "label-with-tolerance",
        {
            STRATEGY: {
                "shadow": {"percent": 5, "compare": [{"field": "a", "kind": "label", "rtol": 1}]}
            }
        },
        'belongs to kind: number, not to "label"',
    ),
)
TESTS = (
    ab_test(
        "candidate-is-not-first",
        'must be "candidate": its users keep their place when shares are added',
        variants=[variant("b", 5, template=TEMPLATE), variant("candidate", 5)],
    ),
    ab_test(
        "variant-twice",
        '"candidate" is there already: give each its own name',
        variants=[variant("candidate", 5), variant("candidate", 5)],
    ),
    ab_test("goal-twice", '"tip" is there already: give each its own name', goals=[GOAL, GOAL]),
    ab_test(
        "nothing-left-for-control",
        "take 110.5% of the users: leave some to stable, the control",
        variants=[variant("candidate", 60), variant("b", 50.5, template=TEMPLATE)],
    ),
    ab_test(
        "variant-called-stable",
        "is the control's name, which takes the rest of the users",
        variants=[variant("candidate", 5), variant("stable", 5)],
    ),
    ab_test(
        "candidate-with-a-template",
        "candidate runs spec.template: remove it here",
        variants=[variant("candidate", 5, template=TEMPLATE)],
    ),
    ab_test(
        "variant-without-a-template",
        'is missing: what "b" runs',
        variants=[variant("candidate", 5), variant("b", 5)],
    ),
    ab_test(
        "variant-without-the-port",
        'no container of the template has a port named "http"; its ports are named "x"' + NAME_IT,
        said='no container of the template has a port named "http"' + NAME_IT,
        variants=[variant("candidate", 5), variant("b", 5, template=OTHER_PORT)],
    ),
    ab_test(
        "yes-or-no-with-a-cap",
        "belongs to kind: continuous",
        goals=[{"name": "tip", "kind": "binary", "cap": 5}],
    ),
    ab_test(
        "yes-or-no-above-one",
        "must be a share from 0 to below 1, not 2",
        goals=[{"name": "tip", "kind": "binary", "baseline": 2}],
    ),
    ab_test(
        "no-end",
        "give users or duration: a test without an end is never over",
        horizon={"users": 0},
    ),
    release(
        "users-do-not-stay",
        {STRATEGY: {"abTest": {"goals": [GOAL], "horizon": {"users": 9}}}},
        "keeps users on their variant: add traffic: {sticky: {cookie: sluice_uid}}, or the header "
        "that names them",
    ),
    ab_test(
        "arm-header-names-the-user",
        '"X-User" names the user in sticky: choose another header',
        forcedHeader="X-User",
    ),
)
SPECS = (
    release(
        "no-user", {"spec/traffic": {"sticky": {}}}, "name the user by a header, a cookie or both"
    ),
    release(
        "host-twice",
        {"spec/traffic": {"hosts": ["a.b", "a.b"]}},
        '"a.b" is in the list twice',
        by="sets",
    ),
    release(
        "tracked-twice",
        {"spec/tracked": {"configMaps": ["a", "a"]}},
        '"a" is in the list twice',
        by="sets",
    ),
    release(
        "secret-twice",
        {"spec/tracked": {"secrets": ["a", "a"]}},
        '"a" is in the list twice',
        by="sets",
    ),
    release(
        "forced-header-names-the-user",
        {"spec/traffic": {**STICKY, "forcedHeader": "X-User"}},
        '"X-User" names the user in sticky: choose another header',
    ),
    release(
        "preview-header-names-the-user",
        {
            "spec/traffic": STICKY,
            STRATEGY: {"blueGreen": {"preview": {"header": "x-user"}}},
        },
        '"x-user" names the user in sticky: choose another header',
    ),
    release(
        "staff-header-names-the-user",
        {
            "spec/traffic": STICKY,
            STRATEGY: {"canary": {"steps": [{"headerOnly": {"header": "x-user", "value": ""}}]}},
        },
        '"x-user" names the user in sticky: choose another header',
    ),
    release(
        "header-of-the-protocol",
        {"spec/traffic": {"forcedHeader": "Host"}},
        '"Host" belongs to the protocol: choose a header of your own',
    ),
    release(
        "header-of-the-router",
        {"spec/traffic": {"sticky": {"header": "x-sluice-version"}}},
        '"x-sluice-version" is written by the router: choose another header',
    ),
    release(
        "user-header-of-the-router",
        {"spec/traffic": {"sticky": {"header": "x-sluice-arm"}}},
        '"x-sluice-arm": headers that begin with x-sluice- belong to the router',
    ),
    release(
        "no-such-port",
        {"spec/traffic": {"port": "grpc"}},
        NO_PORT + '; its ports are named "http"' + NAME_IT,
        said=NO_PORT + NAME_IT,
    ),
    release(
        "no-port-at-all",
        {"spec/traffic": {"port": "grpc"}, f"{C0}/ports": ...},
        NO_PORT + NAME_IT,
    ),
    release(
        "slow-shield",
        {STRATEGY: {"canary": {"shield": {"perTryTimeout": "1m"}}}},
        "1m leaves stable no time: it must be below traffic.timeout, 30s",
    ),
    stages(
        "slow-shield-in-a-stage",
        [{"rolling": {"maxSurge": 1, "shield": {"perTryTimeout": "2s"}}}],
        "2s leaves stable no time: it must be below traffic.timeout, 1s",
        **{"spec/traffic": {"timeout": "1s"}},
    ),
    release("no-time", {"spec/progressDeadline": "0s"}, "must be at least 1ms, not 0s"),
    release("long-time", {"spec/keepWarm": "9999h"}, '"9999h" is longer than a year (8760h)'),
    release(
        "no-unit", {"spec/keepWarm": 30}, '30 has no unit: write "30s" for seconds', by="fields"
    ),
    release(
        "unknown-field",
        {"spec/replica": 2},
        'unknown field; did you mean "replicas"?',
        by="fields",
    ),
    release(
        "scales-by-two",
        {
            "spec/autoscaling": {
                "maxReplicas": 6,
                "targetCPUUtilizationPercentage": 60,
                "metrics": [{"type": "Resource"}],
            }
        },
        "scales by targetCPUUtilizationPercentage or metrics, one of the two",
    ),
    release(
        "least-over-most",
        {"spec/autoscaling": {"minReplicas": 7, "maxReplicas": 6}},
        "7 is above maxReplicas, 6",
    ),
    release(
        "least-below-replicas",
        {"spec/autoscaling": {"minReplicas": 1, "maxReplicas": 6}},
        "1 is below replicas, 2, for which a pass waits: lower replicas",
    ),
    release(
        "most-below-replicas", {"spec/autoscaling": {"maxReplicas": 1}}, "1 is below replicas, 2"
    ),
    release(
        "rolling-and-scaling",
        {"spec/autoscaling": {"maxReplicas": 6}, STRATEGY: {"rolling": {}}},
        "counts replicas, and an autoscaler changes them: remove autoscaling, or choose another "
        "strategy",
    ),
    stages(
        "proportional-and-scaling",
        [{"canary": {"capacity": "proportional"}}],
        '"proportional" sizes the candidate, and so does an autoscaler: write full, or remove '
        "autoscaling",
        **{"spec/autoscaling": {"maxReplicas": 6}},
    ),
    release(
        "two-budgets",
        {"spec/disruptionBudget": {"minAvailable": 1, "maxUnavailable": "50%"}},
        "give minAvailable or maxUnavailable, one of the two",
    ),
    release(
        "probe-asks-nothing",
        {f"{C0}/livenessProbe": {"periodSeconds": 5}},
        "a probe needs one of httpGet, tcpSocket, exec, grpc",
    ),
    release(
        "probe-asks-twice",
        {f"{C0}/livenessProbe": {"httpGet": {"port": 1}, "grpc": {"port": 1}}},
        "a probe has one of httpGet, tcpSocket, exec, grpc, not httpGet and grpc",
    ),
    release(
        "port-name-twice",
        {f"{C0}/ports": [{"name": "http", "containerPort": i} for i in (1, 2)]},
        'a port named "http" exists already in this pod',
        by="ports",
    ),
    release(
        "container-twice",
        {"spec/template/spec/containers": [CONTAINER, {"name": "model"}]},
        'a container named "model" exists already in this pod',
        by="sets",
    ),
    release(
        "no-such-policy",
        {},
        'no ReleasePolicy "taxi" is in the given files: give its file too (here: none)',
        by="documents",
    ),
)
POLICIES = (
    objective(
        "judged-twice",
        [{"sloRef": "fast"}, {"sloRef": "fast"}],
        '"fast" is judged already: name it once',
    ),
    objective(
        "no-server",
        [{"prometheus": QUERY}],
        "no server to ask: add prometheus: {url: ...} to the policy",
    ),
    objective(
        "judged-by-nothing",
        [{"maxRatio": 2}],
        "is missing (Name of an SLO document): name one, or give prometheus",
    ),
    objective(
        "judged-by-two",
        [{"sloRef": "fast", "prometheus": QUERY}],
        "an objective is a sloRef or a prometheus query: make it two items",
        **{"spec/prometheus": HOOK},
    ),
    objective(
        "query-of-every-revision",
        [{"prometheus": {**QUERY, "bad": "errors"}}],
        'counts every revision alike: select one, such as {revision="$revision"}',
        **{"spec/prometheus": HOOK},
    ),
    policy(
        "short-lease",
        {"spec/poll": "10s", "spec/lease": "10s"},
        "10s runs out between two polls: it must be longer than poll, 10s, better ten times as "
        "long",
    ),
    policy("slow-poll", {"spec/poll": "2m"}, "must be at most 1m, not 2m", said="must be at most"),
    policy("fast-poll", {"spec/poll": "10ms"}, "must be at least 100ms, not 10ms"),
    policy(
        "two-receivers",
        {"spec/notify": [{"webhook": HOOK, "slack": HOOK}]},
        "give webhook or slack, one of the two: further ones are further items",
    ),
    policy(
        "webhook-without-address",
        {"spec/notify": [{"webhook": {"secretEnv": "KEY"}}]},
        "give url, or urlEnv where the address is a secret: one of the two",
    ),
    policy(
        "chat-with-two-addresses",
        {"spec/notify": [{"slack": {**HOOK, "urlEnv": "HOOK"}}]},
        "give urlEnv, or url where the address is no secret: one of the two",
    ),
    freeze("begins-at-the-end", "24:00", "06:00", 'write "00:00" for the begin of a day'),
    freeze(
        "no-length",
        "06:00",
        "06:00",
        'is the begin: for a whole day write from: "00:00", to: "24:00"',
    ),
    freeze("ends-at-the-begin", "06:00", "00:00", 'write "24:00" for the end of a day'),
    policy(
        "time-zone",
        {"spec/freeze": [{"from": "06:00", "to": "07:00", "timeZone": "Mars/Base"}]},
        '"Mars/Base" is no time zone that this machine knows: write its IANA name, such as '
        "Europe/Berlin or UTC",
        by="time-zone",
    ),
)
CASES = (
    *STRATEGIES,
    *CANARIES,
    *CHECKS,
    *ROLLINGS,
    *SHADOWS,
    *TESTS,
    *SPECS,
    *POLICIES,
)

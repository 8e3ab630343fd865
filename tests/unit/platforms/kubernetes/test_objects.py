"""The objects of a revision."""

from typing import Any

import pytest
from tests.support.kube import World, template, workload

from sluice.errors import SpecError, TransientError
from sluice.kube.kinds import CONFIG_MAP, DEPLOYMENT, HPA, PDB, SERVICE, Kind
from sluice.nouns import RevisionId, Workload
from sluice.platforms.kubernetes.extras import TrackedConfig
from sluice.platforms.kubernetes.template import pod_template, port_number

LABELS = {"sluice.dev/release": "taxi", "sluice.dev/revision": "v1"}


async def get(world: World, kind: Kind, name: str = "taxi-v1") -> dict[str, Any] | None:
    return await world.client.get(kind, name, "ml")


async def have(world: World, kind: Kind, name: str = "taxi-v1") -> dict[str, Any]:
    found = await get(world, kind, name)
    assert found is not None, f"there is no {kind.kind} {name}"
    return found


async def test_everything_is_labelled_and_owned_by_the_release(world: World) -> None:
    await world.platform.scale(workload("v1"), 2)
    extras = world.describe("ml/taxi")
    assert extras is not None
    for kind in (DEPLOYMENT, SERVICE, PDB):
        metadata = (await have(world, kind))["metadata"]
        assert metadata["labels"] == {**LABELS, "app.kubernetes.io/managed-by": "sluice"}
        assert metadata["ownerReferences"] == [extras.owner.reference()]


async def test_deployment_selects_by_release_and_revision_and_keeps_the_pods_own_labels(
    world: World,
) -> None:
    await world.platform.scale(workload("v1"), 2)
    spec = (await have(world, DEPLOYMENT))["spec"]
    assert spec["replicas"] == 2
    assert spec["selector"] == {"matchLabels": LABELS}
    labels = spec["template"]["metadata"]["labels"]
    assert labels["team"] == "fares"
    assert labels.items() >= LABELS.items()


async def test_service_of_a_revision_is_headless_and_leads_to_the_named_port(world: World) -> None:
    await world.platform.scale(workload("v1"), 2)
    spec = (await have(world, SERVICE))["spec"]
    port = {"name": "http", "port": 8080, "targetPort": "http", "protocol": "TCP"}
    assert spec == {"clusterIP": "None", "selector": LABELS, "ports": [port]}


async def test_every_container_is_told_its_revision_by_value() -> None:
    given = template()
    given["spec"]["containers"].append(
        {"name": "side", "env": [{"name": "SLUICE_REVISION", "value": "mine"}]}
    )
    work = Workload(release="ml/taxi", revision=RevisionId("v1"), template=given)
    made = pod_template(work, config_maps=(), secrets_hash="")
    wanted = [{"name": "SLUICE_REVISION", "value": "v1"}]
    assert [item["env"][-1:] for item in made["spec"]["containers"]] == [wanted, wanted]
    assert given["spec"]["containers"][1]["env"][0]["value"] == "mine", "the template stays"


async def test_pod_template_of_a_revision_is_the_same_in_every_version_of_sluice() -> None:
    """A difference starts every pod of every running revision anew: think twice."""
    work = workload("v1")
    made = pod_template(work, config_maps=(), secrets_hash="")
    assert made == {
        "metadata": {
            "labels": {
                "team": "fares",
                "sluice.dev/release": "taxi",
                "sluice.dev/revision": "v1",
                "app.kubernetes.io/managed-by": "sluice",
            }
        },
        "spec": {
            "containers": [
                {
                    "name": "model",
                    "image": "model:1",
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
                    "env": [
                        {"name": "PORT", "value": "8080"},
                        {"name": "PORT_HTTP", "value": "8080"},
                        {"name": "SLUICE_REVISION", "value": "v1"},
                    ],
                }
            ]
        },
    }


@pytest.mark.parametrize("port", ["http", 8080])
async def test_ports_are_told_as_on_a_laptop_before_what_refers_to_them(port: str | int) -> None:
    given = template()
    (container,) = given["spec"]["containers"]
    container["ports"].append({"name": "my-metrics", "containerPort": 9000})
    container["env"] = [
        {"name": "LISTEN", "value": "$(PORT)"},
        {"name": "PORT_HTTP", "value": "mine"},
    ]
    work = Workload(release="ml/taxi", revision=RevisionId("v1"), template=given, port=port)
    made = pod_template(work, config_maps=(), secrets_hash="")
    assert made["spec"]["containers"][0]["env"] == [
        {"name": "PORT", "value": "8080"},
        {"name": "PORT_MY_METRICS", "value": "9000"},
        {"name": "LISTEN", "value": "$(PORT)"},
        {"name": "PORT_HTTP", "value": "mine"},
        {"name": "SLUICE_REVISION", "value": "v1"},
    ]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"volumes": [{"name": "c", "configMap": {"name": "limits"}}]}, id="volume"),
        pytest.param(
            {
                "volumes": [
                    {"name": "c", "projected": {"sources": [{"configMap": {"name": "limits"}}]}}
                ]
            },
            id="projected",
        ),
        pytest.param(
            {"containers": [{"name": "m", "envFrom": [{"configMapRef": {"name": "limits"}}]}]},
            id="env-from",
        ),
        pytest.param(
            {
                "initContainers": [
                    {
                        "name": "m",
                        "env": [
                            {
                                "name": "A",
                                "valueFrom": {"configMapKeyRef": {"name": "limits", "key": "a"}},
                            }
                        ],
                    }
                ]
            },
            id="env-of-an-init-container",
        ),
    ],
)
def test_references_to_tracked_config_lead_to_the_copy(spec: dict[str, Any]) -> None:
    work = Workload(release="ml/taxi", revision=RevisionId("v1"), template={"spec": spec})
    assert "limits-v1" in str(pod_template(work, config_maps=("limits",), secrets_hash=""))
    assert "limits-v1" not in str(pod_template(work, config_maps=("others",), secrets_hash=""))


def test_hash_of_secrets_is_an_annotation_of_the_pods() -> None:
    made = pod_template(workload("v1"), config_maps=(), secrets_hash="abc")
    assert made["metadata"]["annotations"] == {"sluice.dev/secrets-hash": "abc"}


def test_port_is_found_by_name_or_taken_by_number() -> None:
    assert port_number(template(), "http") == 8080
    assert port_number(template(), 9000) == 9000
    assert port_number(template(), "grpc") is None


async def test_port_that_no_container_has_is_a_fault(world: World) -> None:
    work = Workload(release="ml/taxi", revision=RevisionId("v1"), template=template(), port="grpc")
    with pytest.raises(SpecError, match="'grpc'"):
        await world.platform.scale(work, 1)


async def test_budget_is_made_when_asked_and_goes_with_size_zero(world: World) -> None:
    await world.platform.scale(workload("v1"), 2)
    assert (await have(world, PDB))["spec"]["maxUnavailable"] == 1
    await world.settle()
    await world.platform.scale(workload("v1"), 0)
    assert await get(world, PDB) is None
    world.change(disruption_budget=False)
    await world.platform.scale(workload("v2"), 2)
    assert await get(world, PDB, "taxi-v2") is None


async def test_budget_that_is_wanted_no_more_goes(world: World) -> None:
    await world.platform.scale(workload("v1"), 2)
    await world.settle()
    world.change(disruption_budget=False)
    await world.seconds(0.5)
    assert await get(world, PDB) is None


async def test_budget_has_the_bound_that_was_asked_for(world: World) -> None:
    world.change(budget={"minAvailable": "75%"})
    await world.platform.scale(workload("v1"), 4)
    spec = (await have(world, PDB))["spec"]
    assert spec["minAvailable"] == "75%"
    assert "maxUnavailable" not in spec


AUTOSCALING = {
    "maxReplicas": 9,
    "metrics": [
        {
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 60},
            },
        }
    ],
}


async def test_autoscaler_begins_at_the_size_that_was_asked_for_and_owns_it(world: World) -> None:
    world.change(autoscaling=AUTOSCALING)
    await world.platform.scale(workload("v1"), 3)
    spec = (await have(world, HPA))["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 9)
    assert spec["scaleTargetRef"]["name"] == "taxi-v1"
    assert spec["metrics"] == AUTOSCALING["metrics"]
    assert (await have(world, DEPLOYMENT))["spec"]["replicas"] == 3
    await world.settle()
    await world.client.patch(DEPLOYMENT, "taxi-v1", "ml", {"spec": {"replicas": 7}})
    await world.seconds(2)
    assert (await have(world, DEPLOYMENT))["spec"]["replicas"] == 7, "what the autoscaler says"
    seen = await world.see("v1")
    assert seen is not None
    assert (seen.desired, len(seen.ready)) == (3, 7)


async def test_autoscaler_has_a_floor_of_its_own_above_the_size(world: World) -> None:
    world.change(autoscaling={**AUTOSCALING, "minReplicas": 5})
    await world.platform.scale(workload("v1"), 3)
    assert (await have(world, HPA))["spec"]["minReplicas"] == 5


async def test_autoscaled_revision_goes_to_zero_and_comes_back(world: World) -> None:
    world.change(autoscaling=AUTOSCALING)
    await world.platform.scale(workload("v1"), 3)
    await world.seconds(2)
    await world.platform.scale(workload("v1"), 0)
    await world.seconds(2)
    assert await world.see("v1") is None
    assert await get(world, HPA) is None
    await world.platform.scale(workload("v1"), 2)
    await world.seconds(2)
    seen = await world.see("v1")
    assert seen is not None
    assert len(seen.ready) == 2


async def test_growth_does_not_wait_for_the_autoscaler(world: World) -> None:
    world.change(autoscaling=AUTOSCALING)
    await world.platform.scale(workload("v1"), 1)
    await world.settle()
    await world.platform.scale(workload("v1"), 4)
    assert (await have(world, DEPLOYMENT))["spec"]["replicas"] == 4


async def test_autoscaler_that_comes_later_takes_over_without_losing_a_pod(world: World) -> None:
    await world.platform.scale(workload("v1"), 3)
    await world.seconds(2)
    world.change(autoscaling=AUTOSCALING)
    await world.seconds(2)
    assert (await have(world, HPA))["spec"]["minReplicas"] == 3
    assert (await have(world, DEPLOYMENT))["spec"]["replicas"] == 3
    world.change(autoscaling=None)
    await world.seconds(2)
    assert await get(world, HPA) is None
    assert (await have(world, DEPLOYMENT))["spec"]["replicas"] == 3


# --- tracked config ---


def content(value: str) -> TrackedConfig:
    return TrackedConfig(
        config_maps={"limits": {"data": {"limits.yaml": value}}}, secrets_hash="s", digest=value
    )


def reads_limits(revision: str) -> Workload:
    return workload(revision, volumes=[{"name": "c", "configMap": {"name": "limits"}}])


async def test_each_revision_has_its_own_copy_of_tracked_config(world: World) -> None:
    world.change(
        config_maps=("limits",),
        tracked={RevisionId("v1"): content("one"), RevisionId("v2"): content("two")},
    )
    for revision, value in (("v1", "one"), ("v2", "two")):
        await world.platform.scale(reads_limits(revision), 1)
        copied = await have(world, CONFIG_MAP, f"limits-{revision}")
        assert copied["data"] == {"limits.yaml": value}
        assert copied["immutable"] is True
        made = await have(world, DEPLOYMENT, f"taxi-{revision}")
        volumes = made["spec"]["template"]["spec"]["volumes"]
        assert volumes == [{"name": "c", "configMap": {"name": f"limits-{revision}"}}]


async def test_a_revision_keeps_what_it_was_made_from(world: World) -> None:
    world.change(config_maps=("limits",), tracked={RevisionId("v1"): content("one")})
    await world.platform.scale(reads_limits("v1"), 1)
    await world.settle()
    await world.stop()
    world.change(config_maps=(), tracked={})
    await world.start()
    await world.platform.scale(reads_limits("v1"), 2)
    await world.seconds(1)
    made = await have(world, DEPLOYMENT)
    assert made["spec"]["replicas"] == 2
    assert made["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] == "limits-v1"
    assert (await have(world, CONFIG_MAP, "limits-v1"))["data"] == {"limits.yaml": "one"}


async def test_revision_whose_tracked_content_is_not_known_is_not_made_up(world: World) -> None:
    world.change(config_maps=("limits",))
    with pytest.raises(TransientError, match="not known any more"):
        await world.platform.scale(reads_limits("v1"), 1)
    assert await get(world, DEPLOYMENT) is None

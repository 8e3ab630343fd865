"""From objects to releases that run, and what is said of objects with faults."""

from tests.unit.cluster.world import KEY, NAME, NAMESPACE, POLICY, STEPS, World, release, slos

from sluice.kube.kinds import CONFIG_MAP, RELEASE


async def test_a_release_with_policy_and_slo_is_promoted_when_it_is_ready() -> None:
    world = World()
    await world.stable()
    status = await world.status()
    assert status["phase"] == "Healthy"
    assert status["stable"] == world.revision()
    assert status["observedGeneration"] == 1
    assert status["selector"] == f"sluice.dev/release=taxi,sluice.dev/revision={world.revision()}"
    assert status["replicas"] == 2
    assert world.shown().hosts == ("taxi.ml", "taxi.ml.svc", "taxi.ml.svc.cluster.local", "taxi")


async def test_missing_objects_are_named_and_heal_when_they_come() -> None:
    world = World()
    await world.begin()
    await world.apply(release())
    accepted = await world.condition("Accepted")
    assert accepted["status"] == "False"
    assert 'no ReleasePolicy "taxi" is in namespace ml' in accepted["message"]
    assert (await world.status())["phase"] == "Degraded"
    await world.apply(POLICY)
    accepted = await world.condition("Accepted")
    assert 'no SLO "answered" is in namespace ml' in accepted["message"]
    assert "releasepolicy/taxi" in accepted["message"]
    await world.apply(slos("{"))
    assert "configmap/slos:answered.yaml" in (await world.condition("Accepted"))["message"]
    await world.apply(slos())
    assert (await world.condition("Accepted"))["status"] == "True"
    await world.until("Promoted", at_most_s=10)


async def test_a_fault_leaves_the_spec_before_it_running() -> None:
    world = World()
    await world.stable()
    before = world.revision()
    await world.apply(release("2", policyRef={"name": "nobody"}))
    accepted = await world.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "SpecFault")
    assert accepted["observedGeneration"] == 2
    promoted = await world.condition("Promoted")
    assert (promoted["status"], promoted["observedGeneration"]) == ("True", 1)
    assert not await world.holds("Promoted")
    assert world.revision() == before
    events = [event for event in await world.events() if event["reason"] == "SpecFault"]
    assert [event["type"] for event in events] == ["Warning"]


async def test_every_fault_is_in_the_message() -> None:
    world = World()
    await world.begin()
    await world.apply(slos(), POLICY | {"spec": {"alpha": 7}}, release(keepWarm="soon", replicas=0))
    message = (await world.condition("Accepted"))["message"]
    assert "spec.alpha" in message
    assert "spec.keepWarm" in message
    assert "spec.replicas" in message


async def test_pods_that_the_api_server_would_not_run_are_refused_before_anything_moves() -> None:
    world = World(refused_images={"2": "quota exceeded"})
    await world.stable()
    await world.apply(release("2"))
    accepted = await world.condition("Accepted")
    assert "quota exceeded" in accepted["message"]
    assert world.shown().candidate is None
    del world.refused_images["2"]
    await world.seconds(35)
    assert (await world.condition("Accepted"))["status"] == "True"
    assert world.shown().candidate is not None or world.revision() == world.shown().stable


async def test_a_known_revision_is_not_asked_about_again() -> None:
    world = World()
    await world.stable()
    assert world.admitted == ["model:1"]
    await world.apply(release("1", replicas=3))
    await world.crash()
    assert world.admitted == ["model:1"]


async def test_an_edited_policy_is_followed() -> None:
    world = World()
    await world.stable()
    await world.apply(POLICY | {"spec": {**POLICY["spec"], "alpha": 0.01}})
    assert world.lead.loop.releases[KEY].core.settings.alpha == 0.01


async def test_a_deleted_slo_makes_the_release_say_so_and_it_runs_on() -> None:
    world = World()
    await world.stable()
    await world.client.delete(CONFIG_MAP, "slos", NAMESPACE)
    await world.settle()
    assert (await world.condition("Accepted"))["status"] == "False"
    assert (await world.status())["phase"] == "Healthy"
    await world.apply(slos())
    assert (await world.condition("Accepted"))["status"] == "True"


async def test_tracked_content_that_changes_is_a_new_candidate() -> None:
    world = World(digest="one")
    await world.stable(tracked={"configMaps": ["limits"]}, strategy=STEPS)
    before = world.revision()
    world.digest = "two"
    await world.seconds(35)
    assert world.revision() != before
    assert world.shown().candidate == world.revision()


async def test_scaling_the_release_scales_what_runs() -> None:
    world = World()
    await world.stable()
    await world.client.patch(RELEASE, NAME, NAMESPACE, {"spec": {"replicas": 4}})
    await world.settle()
    await world.seconds(5)
    assert (await world.status())["revisions"][0]["desired"] == 4


async def test_only_slos_belong_into_a_config_map_of_slos() -> None:
    world = World()
    await world.begin()
    text = "apiVersion: sluice.dev/v1alpha1\nkind: ReleasePolicy\nmetadata: {name: x}\nspec: {}\n"
    await world.apply(slos(text), POLICY, release())
    assert "has no place here" in (await world.condition("Accepted"))["message"]


async def test_what_runs_goes_on_after_a_restart_in_spite_of_a_fault_in_the_newest_spec() -> None:
    world = World()
    await world.stable()
    before = world.revision()
    await world.apply(release("2", policyRef={"name": "nobody"}))
    world.described.clear()
    await world.crash()
    assert world.described.keys() == {KEY}
    assert (await world.condition("Accepted"))["status"] == "False"
    assert (world.revision(), (await world.status())["phase"]) == (before, "Healthy")

"""Roles are the list, and no more."""

from typing import Any

import pytest
from tests.charts.support import Object, helm, of_kind, render
from tools.generate_charts import page, rights

ALL = ("Role", "ClusterRole")
GATEWAY = "dataPlane=gateway,gateway.parents={infra/edge}"


def granted(objects: list[Object], account: str) -> set[tuple[str, str, str, str]]:
    """Namespace (empty: everywhere), group, resource and verb that bindings give an account."""
    roles = {(item["kind"], item["metadata"]["name"]): item for item in of_kind(objects, *ALL)}
    found = set()
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        if any(subject["name"] == account for subject in binding["subjects"]):
            role = roles[binding["roleRef"]["kind"], binding["roleRef"]["name"]]
            where = binding["metadata"].get("namespace", "")
            found |= {(where, *right) for rule in role["rules"] for right in rights_of(rule)}
    return found


def rights_of(rule: Any) -> set[tuple[str, str, str]]:
    groups = rule.get("apiGroups") or rule.get("groups")
    return {(g, r, v) for g in groups for r in rule["resources"] for v in rule["verbs"]}


def listed(account: str, place: str, *, when: tuple[str, ...] = ()) -> set[tuple[str, str, str]]:
    rules = [rule for rule in rights()[account][place] if rule.get("when", "") in ("", *when)]
    return {right for rule in rules for right in rights_of(rule)}


@pytest.mark.parametrize("account", ["controller", "router"])
def test_accounts_have_the_rights_of_the_list_in_the_whole_cluster(account: str) -> None:
    expected = {("", *right) for right in listed(account, "watched", when=("readSecrets",))}
    expected |= {("sluice-system", *right) for right in listed(account, "own")}
    assert granted(render("sluice"), f"sluice-{account}") == expected


@pytest.mark.parametrize("account", ["controller", "router"])
def test_with_a_list_of_namespaces_nothing_is_granted_elsewhere(account: str) -> None:
    objects = render("sluice", "--set", "watchNamespaces={team-a,team-b},rbac.userRoles=false")
    assert of_kind(objects, "ClusterRole", "ClusterRoleBinding") == []
    watched = listed(account, "watched", when=("readSecrets",))
    expected = {(where, *right) for where in ("team-a", "team-b") for right in watched}
    expected |= {("sluice-system", *right) for right in listed(account, "own")}
    assert granted(objects, f"sluice-{account}") == expected


def test_secrets_are_read_only_when_allowed_and_routes_written_only_with_a_gateway() -> None:
    def resources(*values: str) -> set[str]:
        objects = render("sluice", *(word for value in values for word in ("--set", value)))
        return {right[2] for right in granted(objects, "sluice-controller")}

    assert "secrets" in resources()
    assert "secrets" not in resources("rbac.readSecrets=false")
    assert "httproutes" not in resources()
    assert "httproutes" in resources(GATEWAY)


def test_nobody_has_a_wildcard_or_may_change_roles() -> None:
    everything = {
        right
        for item in of_kind(
            render("sluice", "--set", "dataPlane=gateway,gateway.parents={infra/edge}"), *ALL
        )
        for rule in item["rules"]
        for right in rights_of(rule)
    }
    assert {right for right in everything if "*" in right} == set()
    assert {right for right in everything if "rbac" in right[0]} == set()
    assert {v for g, r, v in everything if (g, r) == ("", "secrets")} == {"get"}


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_people_get_their_rights_by_the_roles_of_the_cluster(role: str) -> None:
    [found] = [
        item
        for item in of_kind(render("sluice"), "ClusterRole")
        if f"rbac.authorization.k8s.io/aggregate-to-{role}" in item["metadata"].get("labels", {})
    ]
    given = {right for rule in found["rules"] for right in rights_of(rule)}
    assert given == {right for rule in rights()["users"][role] for right in rights_of(rule)}


def test_the_reference_names_every_right() -> None:
    text = page()
    for account in ("controller", "router"):
        for place, rules in rights()[account].items():
            for rule in rules:
                row = f"| {account} | {place} | {', '.join(g or 'core' for g in rule['groups'])} |"
                assert (
                    f"{row} {', '.join(rule['resources'])} | {', '.join(rule['verbs'])} |" in text
                )


def test_the_policies_let_only_the_controller_and_the_named_reach_agents() -> None:
    [policy] = [
        item
        for item in of_kind(render("sluice"), "NetworkPolicy")
        if item["metadata"]["name"] == "sluice-router"
    ]
    users, agents = policy["spec"]["ingress"]
    assert users == {"ports": [{"protocol": "TCP", "port": "http"}]}
    assert agents["ports"] == [{"protocol": "TCP", "port": "agent"}]
    [peer] = agents["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "controller"
    assert "namespaceSelector" not in peer


def test_chart_without_roles_has_none() -> None:
    code, text, _ = helm("sluice", "--set", "rbac.create=false")
    assert code == 0
    assert "kind: ClusterRole" not in text
    assert "kind: Role" not in text

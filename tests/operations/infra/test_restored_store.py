"""A store that was restored, or was there before, can be the platform's: it gets what a restore leaves behind."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.operations.infra.templates import ENVIRONMENTS, INFRA, RUNNING, restored, running
from tools.infra.bicep.evaluate import GROUP, Deployment, Resource, with_parameters

pytestmark = pytest.mark.slow

ACCOUNT = "Microsoft.DocumentDB/databaseAccounts"
ROLES = f"{ACCOUNT}/sqlRoleAssignments"


def _with_store(environment: str, **more: str) -> Deployment:
    given: Mapping[str, Any] = {**RUNNING, "existingCosmosName": "restored", **more}
    return with_parameters(INFRA / "parameters" / f"{environment}.bicepparam", given)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_platform_over_a_store_that_is_there_makes_none_and_gives_the_same_rights(environment: str) -> None:
    made, own = _with_store(environment), running(environment)
    assert [each for each in made.resources if each.type.startswith(ACCOUNT) and each.type != ROLES] == []
    (account,) = own.of(ACCOUNT)
    there = f"{GROUP}/providers/{ACCOUNT}/restored"

    def rights(deployment: Deployment) -> set[tuple[str, str]]:
        return {
            (each.body["properties"]["scope"], each.body["properties"]["principalId"]) for each in deployment.of(ROLES)
        }

    assert rights(made) == {(scope.replace(account.id, there), principal) for scope, principal in rights(own)}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_app_and_every_alert_is_of_the_store_that_was_chosen(environment: str) -> None:
    made = _with_store(environment)
    (own,) = running(environment).of(ACCOUNT)
    apps = made.of("Microsoft.App/containerApps")
    endpoints = {
        variable["value"]
        for app in apps
        for variable in app.body["properties"]["template"]["containers"][0]["env"]
        if variable["name"] == "CLUDALE_COSMOS_ENDPOINT"
    }
    assert endpoints == {"«account restored.properties.documentEndpoint»"}
    assert made.outputs["cosmosName"] == "restored"
    (throttled,) = (each for each in made.of("Microsoft.Insights/metricAlerts") if each.name.endswith("-throttled"))
    assert throttled.body["properties"]["scopes"] == [f"{GROUP}/providers/{ACCOUNT}/restored"]
    assert [each.id for each in made.resources if f"{ACCOUNT}/{own.name}" in str(each.body)] == []


def test_a_store_in_another_resource_group_gets_its_roles_there_and_its_endpoint_in_ours() -> None:
    made = _with_store("prod", existingCosmosGroup="older")
    older = f"{GROUP.rpartition('/')[0]}/older"
    assert {each.id.partition("/sqlRole")[0] for each in made.of(ROLES)} == {f"{older}/providers/{ACCOUNT}/restored"}
    (endpoint,) = (
        each for each in made.of("Microsoft.Network/privateEndpoints") if each.name.startswith("restored-store")
    )
    assert endpoint.id.startswith(f"{GROUP}/")
    (connection,) = endpoint.body["properties"]["privateLinkServiceConnections"]
    assert connection["properties"]["privateLinkServiceId"].startswith(f"{older}/")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_a_drill_gives_to_a_restored_store_is_what_the_platform_would_give(environment: str) -> None:
    """By the same names: else the deployment that follows would give each right a second time, and be refused."""
    given, wanted = restored(environment).resources, _with_store(environment).resources
    assert {each.type for each in given} >= {ROLES, "Microsoft.Insights/diagnosticSettings"}
    found = {each.id: _told(each) for each in wanted}
    assert [each.id for each in given if found.get(each.id) != _told(each)] == []


def _told(resource: Resource) -> str:
    """All of it; the subnet, which one file makes and the other looks up, by its name."""
    return str(resource.body).replace(
        f"{GROUP}/providers/Microsoft.Network/virtualNetworks/cludale-prod-network/subnets/private-endpoints",
        "«network cludale-prod-network.properties.subnets.1.id»",
    )


def test_a_drill_touches_no_app_no_alert_and_no_other_store() -> None:
    kinds = {each.type for each in restored("prod").resources}
    assert kinds == {
        ROLES, "Microsoft.Insights/diagnosticSettings", "Microsoft.Network/privateDnsZones",
        "Microsoft.Network/privateDnsZones/virtualNetworkLinks", "Microsoft.Network/privateEndpoints",
        "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
    }  # fmt: skip


def test_a_closed_platform_s_restored_store_is_reached_through_an_endpoint_of_its_own_in_the_same_zone() -> None:
    """Azure refuses a second link of one network to one zone; two endpoints in it are fine."""
    own, other = running("prod"), _with_store("prod")
    link = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
    assert {each.id for each in own.of(link)} == {each.id for each in other.of(link)}
    names = [{each.name for each in made.of("Microsoft.Network/privateEndpoints")} for made in (own, other)]
    assert len(names[0] - names[1]) == len(names[1] - names[0]) == 1

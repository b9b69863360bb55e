"""What is there for years: locks, a log that is kept, a second region, Front Door, a budget, a staging environment."""

import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from tests.operations.infra.templates import ENVIRONMENTS, INFRA, behind_front_door, empty, locks, running
from tools.infra.bicep.evaluate import Deployment, with_parameters

from cludale.wiring.settings import Settings

KEPT = {
    "Microsoft.ContainerRegistry/registries", "Microsoft.DocumentDB/databaseAccounts", "Microsoft.KeyVault/vaults",
    "Microsoft.ServiceBus/namespaces", "Microsoft.Storage/storageAccounts",
}  # fmt: skip
"""What holds something that no deployment makes again."""


def test_what_can_not_be_made_again_can_not_be_deleted() -> None:
    locked = {str(each.scope).partition("/providers/")[2].rpartition("/")[0] for each in locks().resources}
    assert locked == KEPT
    assert {each.body["properties"]["level"] for each in locks().resources} == {"CanNotDelete"}
    assert {each.type for each in running("prod").resources} >= KEPT


def test_the_pipeline_puts_no_lock_for_its_roles_may_not() -> None:
    for environment in ENVIRONMENTS:
        assert running(environment).of("Microsoft.Authorization/locks") == []


def test_the_log_is_kept_where_no_key_opens_it_and_in_two_regions() -> None:
    (account,) = running("prod").of("Microsoft.Storage/storageAccounts")
    assert account.body["properties"]["allowSharedKeyAccess"] is False
    assert account.body["properties"]["allowBlobPublicAccess"] is False
    assert account.body["sku"]["name"] == "Standard_GRS"
    assert running("dev").of("Microsoft.Storage/storageAccounts") == []


def test_no_template_names_the_policy_that_is_locked_by_hand() -> None:
    """A locked policy refuses whatever names it again, and with it each deployment."""
    types = {each.type for each in running("prod").resources}
    assert not any(type_.endswith("immutabilityPolicies") for type_ in types)


def test_with_a_second_region_broker_and_registry_have_a_copy_there() -> None:
    (namespace,) = behind_front_door().of("Microsoft.ServiceBus/namespaces")
    roles = {
        each["roleType"]: each["locationName"]
        for each in namespace.body["properties"]["geoDataReplication"]["locations"]
    }
    assert roles == {"Primary": "westeurope", "Secondary": "northeurope"}
    (copy,) = behind_front_door().of("Microsoft.ContainerRegistry/registries/replications")
    assert copy.body["location"] == "northeurope"
    for environment in ENVIRONMENTS:
        (alone,) = running(environment).of("Microsoft.ServiceBus/namespaces")
        assert alone.body["properties"]["geoDataReplication"] is None
        assert running(environment).of("Microsoft.ContainerRegistry/registries/replications") == []


def _variable(made: Deployment, name: str) -> set[str]:
    return {
        variable["value"]
        for app in made.of("Microsoft.App/containerApps")
        for container in app.body["properties"]["template"]["containers"]
        for variable in container["env"]
        if variable["name"] == name
    }


class TestFrontDoor:
    def test_the_apps_are_reached_through_it_alone(self) -> None:
        (apps,) = behind_front_door().of("Microsoft.App/managedEnvironments")
        assert apps.body["properties"]["publicNetworkAccess"] == "Disabled"
        (origin,) = behind_front_door().of("Microsoft.Cdn/profiles/originGroups/origins")
        link = origin.body["properties"]["sharedPrivateLinkResource"]
        assert (link["privateLink"]["id"], link["groupId"]) == (apps.id, "managedEnvironments")

    def test_an_agent_in_the_network_still_reaches_green(self) -> None:
        targets = str([each.body for each in behind_front_door().of("Microsoft.Network/privateEndpoints")])
        (apps,) = behind_front_door().of("Microsoft.App/managedEnvironments")
        assert apps.id in targets

    def test_its_firewall_refuses_and_stands_before_every_name(self) -> None:
        (firewall,) = behind_front_door().of("Microsoft.Network/FrontDoorWebApplicationFirewallPolicies")
        assert firewall.body["properties"]["policySettings"]["mode"] == "Prevention"
        (policy,) = behind_front_door().of("Microsoft.Cdn/profiles/securityPolicies")
        (association,) = policy.body["properties"]["parameters"]["associations"]
        (endpoint,) = behind_front_door().of("Microsoft.Cdn/profiles/afdEndpoints")
        (domain,) = behind_front_door().of("Microsoft.Cdn/profiles/customDomains")
        assert {each["id"] for each in association["domains"]} == {endpoint.id, domain.id}

    def test_a_deployment_that_touches_no_app_stops_orders_and_nothing_else(self) -> None:
        def stops(**given: bool) -> tuple[bool, list[str], str]:
            made = with_parameters(INFRA / "parameters/prod.bicepparam", {"frontDoor": True, **given})
            assert made.of("Microsoft.App/containerApps") == []
            (firewall,) = made.of("Microsoft.Network/FrontDoorWebApplicationFirewallPolicies")
            (rule,) = (
                each for each in firewall.body["properties"]["customRules"]["rules"] if each["name"] == "salesStopped"
            )
            method, path = (each["matchValue"] for each in rule["matchConditions"])
            return rule["enabledState"] == "Enabled", method, path[0]

        is_stopped, methods, path = stops(salesStopped=True)
        assert is_stopped
        assert methods == ["POST"]
        assert not stops()[0]
        assert re.search(path, "https://tickets.example.com:443/orders")
        assert not re.search(path, "https://tickets.example.com:443/orders/o-1/payment"), "who has ordered goes on"

    def test_a_client_s_address_is_believed_of_the_ingress_behind_it_and_of_nobody_without_it(self) -> None:
        (trusted,) = _variable(behind_front_door(), "CLUDALE_TRUSTED_PROXIES")
        assert Settings.from_env({"CLUDALE_TRUSTED_PROXIES": trusted}).trusted_proxies == trusted
        networks = [ip_network(each) for each in trusted.split(",")]
        assert not any(ip_address("203.0.113.9") in each for each in networks)
        assert all(each.is_private or each.subnet_of(ip_network("100.64.0.0/10")) for each in networks)  # type: ignore[arg-type]
        for environment in ENVIRONMENTS:
            assert _variable(running(environment), "CLUDALE_TRUSTED_PROXIES") == set()

    def test_what_looks_whether_the_platform_is_up_looks_at_what_buyers_see(self) -> None:
        (visits,) = behind_front_door().of("Microsoft.Insights/webtests")
        assert "https://tickets.example.com/" in visits.body["properties"]["Request"]["RequestUrl"]

    @pytest.mark.parametrize("environment", ENVIRONMENTS)
    def test_it_is_there_where_somebody_asks_for_it(self, environment: str) -> None:
        made = running(environment)
        assert made.of("Microsoft.Cdn/profiles") == []
        (apps,) = made.of("Microsoft.App/managedEnvironments")
        assert apps.body["properties"]["publicNetworkAccess"] == "Enabled"


def test_a_budget_is_made_once_a_first_day_is_given() -> None:
    for environment in ENVIRONMENTS:
        assert empty(environment).of("Microsoft.Consumption/budgets") == []
        (budget,) = running(environment).of("Microsoft.Consumption/budgets")
        told = budget.body["properties"]["notifications"]
        assert {each["thresholdType"] for each in told.values()} == {"Actual", "Forecasted"}
        assert "param monthlyBudget = " in (INFRA / f"parameters/{environment}.bicepparam").read_text()


def test_staging_is_production_in_small() -> None:
    """The same kinds of resources, so that what production's deployment would meet is met there before."""

    def kinds(environment: str) -> set[str]:
        return {each.type for each in running(environment).resources}

    assert kinds("prod") - kinds("staging") == _of_storage(running("prod"))
    assert kinds("staging") <= kinds("prod")
    (vault,) = running("staging").of("Microsoft.KeyVault/vaults")
    assert vault.body["properties"]["publicNetworkAccess"] == "Disabled"


def _of_storage(made: Deployment) -> set[str]:
    return {each.type for each in made.resources if each.type.startswith("Microsoft.Storage/")}


def test_no_two_environments_share_addresses() -> None:
    spaces: list[Any] = [
        ip_network(prefix)
        for environment in ENVIRONMENTS
        for network in running(environment).of("Microsoft.Network/virtualNetworks")
        for prefix in network.body["properties"]["addressSpace"]["addressPrefixes"]
    ]
    assert len(spaces) == 2
    assert not spaces[0].overlaps(spaces[1])

"""What counts waiting messages has an identity of its own, with the right to count and no way into a container."""

import re
from pathlib import Path

import pytest
from tests.operations.infra.templates import ENVIRONMENTS, INFRA, running
from tools.infra.bicep.evaluate import Resource

from cludale.services import NAMES

OWNER = "090c5cfd-751d-490a-894a-3ce6f1109419"
SUBSCRIPTION = "Microsoft.ServiceBus/namespaces/topics/subscriptions"
APP = "Microsoft.App/containerApps"


def _scaled_by(app: Resource) -> set[str]:
    rules = app.body["properties"]["template"]["scale"]["rules"]
    return {rule["custom"]["identity"] for rule in rules if "custom" in rule}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_scaler_may_count_in_the_subscriptions_that_it_looks_at_and_nowhere_else(environment: str) -> None:
    made = running(environment)
    rights = [
        each
        for each in made.of("Microsoft.Authorization/roleAssignments")
        if "-scaler.properties" in each.body["properties"]["principalId"]
    ]
    assert {each.body["properties"]["roleDefinitionId"].rpartition("/")[2] for each in rights} == {OWNER}
    for service in NAMES:
        principal = f"«scalers cludale-{environment}-{service}-scaler.properties.principalId»"
        assert {each.scope for each in rights if each.body["properties"]["principalId"] == principal} == {
            each.id for each in made.of(SUBSCRIPTION) if each.name == service and "-dead-letters/" not in each.id
        }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_rules_look_as_the_scaler_s_identity_of_which_no_container_gets_a_token(environment: str) -> None:
    for app in running(environment).of(APP):
        (scaler,) = _scaled_by(app)
        assert scaler.endswith(f"/cludale-{environment}-{app.name}-scaler")
        assert scaler in app.body["identity"]["userAssignedIdentities"], "a rule's identity is one of the app's"
        kept = {
            each["identity"]
            for each in app.body["properties"]["configuration"]["identitySettings"]
            if each["lifecycle"] == "None"
        }
        assert kept == {scaler}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_service_itself_owns_nothing_at_the_broker(environment: str) -> None:
    owners = {
        each.body["properties"]["principalId"]
        for each in running(environment).of("Microsoft.Authorization/roleAssignments")
        if each.body["properties"]["roleDefinitionId"].endswith(OWNER)
    }
    assert len(owners) == len(NAMES)
    assert all(re.fullmatch(r"«scalers .+-scaler\.properties\.principalId»", each) for each in owners)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_scaler_that_fails_again_and_again_is_told_of_by_app(environment: str) -> None:
    (alert,) = (
        each
        for each in running(environment).of("Microsoft.Insights/scheduledQueryRules")
        if each.name.endswith("-scaler")
    )
    (criterion,) = alert.body["properties"]["criteria"]["allOf"]
    assert 'Reason == "KEDAScalerFailed"' in criterion["query"]
    assert [each["name"] for each in criterion["dimensions"]] == ["ContainerAppName"]
    looks = 15 * 60 / 30
    assert 1 < criterion["threshold"] < looks / 2, "one that always fails is found, one failure is none"


def test_no_role_is_defined_for_who_deploys_may_only_assign_them() -> None:
    page = Path("docs/run/azure-devops.md").read_text(encoding="utf-8")
    assert 'for role in Contributor "Role Based Access Control Administrator"' in page
    for file in INFRA.rglob("*.bicep"):
        declared = re.findall(r"^resource \w+ '(.+?)@", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert not [each for each in declared if each.endswith(("/roleDefinitions", "/sqlRoleDefinitions"))], file

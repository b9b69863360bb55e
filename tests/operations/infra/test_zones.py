"""Where a region's zones have no room, each part can do without them alone, and the deployment says which does."""

from typing import Any

import pytest
from tests.operations.infra.templates import INFRA, RUNNING
from tools.infra.bicep.evaluate import Deployment, with_parameters

ACCOUNT = "Microsoft.DocumentDB/databaseAccounts"
ENVIRONMENT = "Microsoft.App/managedEnvironments"


def _production(**more: Any) -> Deployment:
    return with_parameters(INFRA / "parameters/prod.bicepparam", {**RUNNING, **more})


def _spread(made: Deployment) -> dict[str, bool]:
    (account,), (environment,) = made.of(ACCOUNT), made.of(ENVIRONMENT)
    (store,) = account.body["properties"]["locations"]
    (registry,) = made.of("Microsoft.ContainerRegistry/registries")
    return {
        "store": store["isZoneRedundant"],
        "apps": environment.body["properties"]["zoneRedundant"],
        "registry": registry.body["properties"]["zoneRedundancy"] == "Enabled",
    }


@pytest.mark.parametrize(("without", "parameter"), [("store", "cosmosZoneRedundant"), ("apps", "appsZoneRedundant")])
def test_one_part_does_without_zones_and_the_others_keep_them(without: str, parameter: str) -> None:
    made = _production(**{parameter: False})
    found = _spread(made)
    assert [part for part, is_spread in found.items() if not is_spread] == [without]
    said = made.outputs["overZones"]
    assert {part: said[part] for part in found} == found, "what is not spread is said"


def test_production_wishes_for_all_of_them() -> None:
    assert set(_production().outputs["overZones"].values()) == {True}


def test_a_trial_has_none_and_says_so() -> None:
    made = with_parameters(INFRA / "parameters/dev.bicepparam", RUNNING)
    assert set(made.outputs["overZones"].values()) == {False}
    assert not any(_spread(made).values())


def test_of_a_store_that_was_there_nothing_is_claimed() -> None:
    assert _production(existingCosmosName="restored").outputs["overZones"]["store"] is None


def test_a_store_is_had_in_another_region_where_this_one_has_no_room_at_all() -> None:
    made = _production(cosmosLocation="northeurope")
    (account,) = made.of(ACCOUNT)
    assert account.body["location"] == "northeurope"
    assert [each["locationName"] for each in account.body["properties"]["locations"]] == ["northeurope"]
    (endpoint,) = (
        each for each in made.of("Microsoft.Network/privateEndpoints") if each.name.endswith("-store-endpoint")
    )
    assert endpoint.body["location"] == "westeurope", "an endpoint is where its network is"

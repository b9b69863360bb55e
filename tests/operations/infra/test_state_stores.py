"""Dapr state stores in Azure: who has one, what it is made of, what its service is told."""

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # it has no types of its own
from tests.operations.infra.templates import ENVIRONMENTS, INFRA, RUNNING, deployed, running
from tools.infra.bicep.evaluate import Resource, with_parameters

from cludale.adapters.dapr.state import DIALECTS, StateType
from cludale.services import NAMES
from cludale.wiring import settings
from cludale.wiring.needs import check
from cludale.wiring.settings import Settings
from cludale.wiring.stores import STATE_STORE_USERS, commit_limit

COMPONENT = "Microsoft.App/managedEnvironments/daprComponents"
LOCAL = Path("docker/components/common/state.yaml")


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def state_components(environment: str) -> dict[str, dict[str, Any]]:
    """By the service that may use it."""
    found = [each.body["properties"] | {"name": each.name} for each in running(environment).of(COMPONENT)]
    return {each["scopes"][0]: each for each in found if each["componentType"].startswith("state.")}


def told(app: Resource) -> dict[str, str]:
    (container,) = app.body["properties"]["template"]["containers"]
    return {each["name"]: each.get("value", "a-secret") for each in container["env"]}


def test_who_may_have_one_here_may_have_one_there(environment: str) -> None:
    local = yaml.safe_load(LOCAL.read_text(encoding="utf-8"))
    assert set(local["scopes"]) == set(state_components(environment)) == set(STATE_STORE_USERS)


def test_nobody_has_one_unasked(environment: str) -> None:
    made = deployed(environment)
    assert [each.name for each in made.of(COMPONENT)] == ["events"]
    for app in made.of("Microsoft.App/containerApps"):
        assert not [name for name in told(app) if name.endswith("_STATE") or name == "CLUDALE_STATE_TYPE"]


@pytest.mark.parametrize("asked", STATE_STORE_USERS)
def test_one_is_had_alone(environment: str, asked: str) -> None:
    parameters = INFRA / "parameters" / f"{environment}.bicepparam"
    made = with_parameters(parameters, dict(RUNNING) | {"stateStoreServices": [asked]})
    assert [each.name for each in made.of(COMPONENT)] == ["events", f"{asked}-state"]


def test_a_sidecar_signs_in_as_its_services_identity_to_a_container_that_nobody_else_reaches(environment: str) -> None:
    for service, component in state_components(environment).items():
        metadata = {each["name"]: each["value"] for each in component["metadata"]}
        assert set(metadata) == {"url", "database", "collection", "azureClientId"}
        assert metadata["collection"] == component["name"] == f"{service}-state"
        assert f"-{service}.properties.clientId" in metadata["azureClientId"]
        assert "documentEndpoint" in metadata["url"]


def test_the_container_has_the_partition_key_that_dapr_wants(environment: str) -> None:
    containers = running(environment).of("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers")
    of_state = [each.body["properties"]["resource"] for each in containers if each.name.endswith("-state")]
    assert len(of_state) == len(STATE_STORE_USERS)
    assert all(each["partitionKey"]["paths"] == ["/partitionKey"] for each in of_state)


def test_each_service_is_told_what_it_starts_with(environment: str, tmp_path: Path) -> None:
    for app in running(environment).of("Microsoft.App/containerApps"):
        given = {name: value for name, value in told(app).items() if name.startswith("CLUDALE_")}
        if "CLUDALE_COSMOS_ENDPOINT" in given:  # what only Azure knows
            given["CLUDALE_COSMOS_ENDPOINT"] = "https://name.documents.azure.com"
        found = Settings.from_env(given | {"CLUDALE_DATA_DIR": str(tmp_path), "APP_API_TOKEN": "made-by-azure"})
        if app.name in STATE_STORE_USERS:
            check(found, [app.name])
        for user in STATE_STORE_USERS:
            assert getattr(found, f"{user}_state") == (f"{user}-state" if app.name == user else None)
        if app.name in STATE_STORE_USERS:
            assert found.state_type is settings.StateType.COSMOS
        if app.name == "audit":
            assert commit_limit(found) == DIALECTS[StateType.COSMOS].sure_operations
    assert set(STATE_STORE_USERS) < set(NAMES)

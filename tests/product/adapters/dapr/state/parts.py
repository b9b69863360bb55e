"""Real sidecars over a state store: in PostgreSQL as the project ships it, in a double of Cosmos DB."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.parts import need
from tests.product.adapters.cosmos.double import KEY, CosmosDouble, running_double

from cludale.adapters.cosmos.layout import DATABASE
from cludale.adapters.dapr.state.dialects import StateType, cosmos_container
from cludale_operations.local.daprd import COMPONENTS, Daprd


class StateComponent(NamedTuple):
    """A component file called `state`, and the secrets that it asks for."""

    yaml: str
    secrets: dict[str, str]
    type: StateType = StateType.ANY


class StateSidecar(Daprd):
    """A sidecar that has a state store of this type."""

    type: StateType = StateType.ANY


def in_postgres(url: str) -> StateComponent:
    """As the project ships it."""
    return StateComponent((COMPONENTS / "common" / "state.yaml").read_text(), {"state-url": url})


def in_cosmos(endpoint: str, key: str, container: str, database: str = DATABASE) -> StateComponent:
    """Dapr's own component over this container; in Azure it signs in as an identity in place of a key."""
    return StateComponent(
        f"""
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: state
spec:
  type: state.azure.cosmosdb
  version: v1
  metadata:
    - name: url
      value: {endpoint}
    - name: masterKey
      value: {key}
    - name: database
      value: {database}
    - name: collection
      value: {container}
""",
        {},
        StateType.COSMOS,
    )


def in_double(double: CosmosDouble) -> StateComponent:
    """Over a container of the double that is laid out as in Azure."""
    container = cosmos_container("audit-state")
    double.lay_out(DATABASE, container)
    return in_cosmos(double.endpoint, KEY, container["id"])


def state_sidecar(folder: Path, component: StateComponent, *, app_id: str = "audit") -> StateSidecar:
    """The sidecar of an app that has this state store, and the secret store."""
    need("daprd")
    resources = folder / "components"
    resources.mkdir(exist_ok=True)
    (resources / "state.yaml").write_text(component.yaml)
    (resources / "secrets.yaml").write_text((COMPONENTS / "common" / "secrets.yaml").read_text())
    sidecar = StateSidecar(app_id, folder / f"{app_id}-sidecar", resources=[resources], secrets=component.secrets)
    sidecar.type = component.type
    return sidecar


STORES = ("PostgreSQL", "Cosmos DB")
"""As the project ships it: on one machine, in Azure."""


def component_over(store: str, request: pytest.FixtureRequest) -> StateComponent | None:
    """One of STORES; None for Cosmos DB, whose double is started where there is a loop."""
    return in_postgres(request.getfixturevalue("database_url")) if store == "PostgreSQL" else None


@asynccontextmanager
async def running_state_sidecar(
    folder: Path, component: StateComponent | None, *, app_id: str = "audit"
) -> AsyncIterator[StateSidecar]:
    """The sidecar, over a double of Cosmos DB where no component is named."""
    async with running_double() as double:
        component = component or in_double(double)
        async with state_sidecar(folder, component, app_id=app_id).running() as sidecar:
            yield sidecar

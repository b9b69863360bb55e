"""Real sidecars over a state store: Dapr's own in memory, or the project's component over PostgreSQL."""

from pathlib import Path
from typing import NamedTuple

from tests.parts import need

from cludale_operations.local.daprd import COMPONENTS, Daprd


class StateComponent(NamedTuple):
    """A component file called `state`, and the secrets that it asks for."""

    yaml: str
    secrets: dict[str, str]


IN_MEMORY = StateComponent(
    """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: state
spec:
  type: state.in-memory
  version: v1
""",
    {},
)


def in_postgres(url: str) -> StateComponent:
    """As the project ships it."""
    return StateComponent((COMPONENTS / "common" / "state.yaml").read_text(), {"state-url": url})


def state_sidecar(folder: Path, component: StateComponent, *, name: str = "audit-sidecar") -> Daprd:
    """The sidecar of an app `audit` that has this state store, and the secret store."""
    need("daprd")
    resources = folder / "components"
    resources.mkdir(exist_ok=True)
    (resources / "state.yaml").write_text(component.yaml)
    (resources / "secrets.yaml").write_text((COMPONENTS / "common" / "secrets.yaml").read_text())
    return Daprd("audit", folder / name, resources=[resources], secrets=component.secrets, name=name)

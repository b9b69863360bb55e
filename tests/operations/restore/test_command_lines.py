"""Every command line of a restore is parsed by the real azure-cli, as those of a release are."""

from pathlib import Path

import pytest
from tests.operations.infra.templates import INFRA
from tests.operations.release.test_azure_cli import parsed
from tests.operations.restore.world import BEGAN
from tests.parts import need

from cludale_operations.restore.store_commands import StoreCommands


@pytest.fixture(scope="module")
def python() -> Path:
    """The Python that has azure-cli."""
    return need("azure-cli")


def test_every_command_that_can_be_built_is_understood(python: Path) -> None:
    commands = StoreCommands("cludale-prod", "11111111-1111-1111-1111-111111111111")
    parameters = {"environmentName": "prod", "accountName": "restored", "privateNetwork": "true"}
    lines = [
        commands.accounts(),
        commands.restorable("cludale-prod"),
        commands.latest_backup("cludale-prod", "West Europe", "cludale", "orders"),
        commands.throughput("cludale-prod", "cludale", "orders"),
        commands.restore("cludale-prod", "West Europe", "restored", BEGAN, is_closed=True),
        commands.restore("cludale-prod", "West Europe", "restored", BEGAN, is_closed=False),
        commands.deploy("restored-access", INFRA / "restored.bicep", parameters),
        commands.endpoints(),
        commands.delete_endpoint("restored-store-endpoint"),
        commands.delete("restored"),
    ]
    assert {words[0] for words in lines} == {"cosmosdb", "deployment", "network"}
    assert len(lines) > len([name for name in vars(StoreCommands) if not name.startswith("_")])
    assert [(line, why) for line, ok, why in parsed(python, lines) if not ok] == []

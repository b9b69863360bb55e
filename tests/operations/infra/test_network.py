"""What is closed to the outside can be reached by who has to, and by nobody else."""

from ipaddress import IPv4Network
from typing import Any

from tests.operations.infra.templates import empty

NETWORK = "Microsoft.Network/virtualNetworks"
GROUP = "Microsoft.Network/networkSecurityGroups"


def _subnets() -> dict[str, dict[str, Any]]:
    (network,) = empty("prod").of(NETWORK)
    return {each["name"]: each["properties"] for each in network.body["properties"]["subnets"]}


def test_a_machine_can_be_put_where_it_reaches_the_closed_vault() -> None:
    """The apps' subnet is delegated: no machine can be in it, so the first secrets could be put in from nowhere."""
    rules = [
        rule["properties"]
        for group in empty("prod").of(GROUP)
        for rule in group.body["properties"]["securityRules"]
        if rule["properties"]["access"] == "Allow"
    ]
    (vault,) = empty("prod").of("Microsoft.KeyVault/vaults")
    assert vault.body["properties"]["publicNetworkAccess"] == "Disabled"
    free = {each["addressPrefix"] for each in _subnets().values() if not each.get("delegations")}
    endpoints = _subnets()["private-endpoints"]["addressPrefix"]
    assert {
        rule["sourceAddressPrefix"]
        for rule in rules
        if rule["destinationAddressPrefix"] == endpoints and rule.get("destinationPortRange") == "443"
    } & free - {endpoints}


def test_the_subnets_are_apart_and_inside_the_network() -> None:
    (network,) = empty("prod").of(NETWORK)
    (whole,) = map(IPv4Network, network.body["properties"]["addressSpace"]["addressPrefixes"])
    found = [IPv4Network(each["addressPrefix"]) for each in _subnets().values()]
    assert all(each.subnet_of(whole) for each in found)
    assert not any(a.overlaps(b) for i, a in enumerate(found) for b in found[:i])

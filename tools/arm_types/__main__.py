"""Write tests/operations/infra/arm_types.json: the properties that Azure takes, as its own libraries have them.

The libraries (requirements.in) are large and only needed when an API version in infra/ changes. Then, with them in a
virtual environment of their own: `python -m tools.arm_types`, from the project's folder.
"""

# ruff: noqa: SLF001 - the libraries keep the names on the wire in private members

import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = Path("tests/operations/infra/arm_types.json")

MODELS = {
    "Microsoft.App/managedEnvironments": ("appcontainers", "2026-07-01", "ManagedEnvironment"),
    "Microsoft.App/managedEnvironments/daprComponents": ("appcontainers", "2026-07-01", "DaprComponent"),
    "Microsoft.App/managedEnvironments/daprComponents/resiliencyPolicies": (
        "appcontainers", "2026-07-01", "DaprComponentResiliencyPolicy",
    ),
    "Microsoft.App/managedEnvironments/httpRouteConfigs": ("appcontainers", "2026-07-01", "HttpRouteConfig"),
    "Microsoft.App/containerApps": ("appcontainers", "2026-07-01", "ContainerApp"),
    "Microsoft.Authorization/roleAssignments": (
        "authorization.v2022_04_01", "2022-04-01", "RoleAssignmentCreateParameters",
    ),
    "Microsoft.Authorization/locks": ("resource.locks", "2020-05-01", "ManagementLockObject"),
    "Microsoft.Cdn/profiles": ("cdn", "2026-10-01", "Profile"),
    "Microsoft.Cdn/profiles/afdEndpoints": ("cdn", "2026-10-01", "AFDEndpoint"),
    "Microsoft.Cdn/profiles/afdEndpoints/routes": ("cdn", "2026-10-01", "Route"),
    "Microsoft.Cdn/profiles/customDomains": ("cdn", "2026-10-01", "AFDDomain"),
    "Microsoft.Cdn/profiles/originGroups": ("cdn", "2026-10-01", "AFDOriginGroup"),
    "Microsoft.Cdn/profiles/originGroups/origins": ("cdn", "2026-10-01", "AFDOrigin"),
    "Microsoft.Cdn/profiles/securityPolicies": ("cdn", "2026-10-01", "SecurityPolicy"),
    "Microsoft.Consumption/budgets": ("consumption", "2024-08-01", "Budget"),
    "Microsoft.ContainerRegistry/registries/replications": ("containerregistry", "2025-11-01", "Replication"),
    "Microsoft.ContainerRegistry/registries": ("containerregistry", "2025-11-01", "Registry"),
    "Microsoft.DocumentDB/databaseAccounts": ("cosmosdb", "2026-03-15", "DatabaseAccountCreateUpdateParameters"),
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases": (
        "cosmosdb", "2026-03-15", "SqlDatabaseCreateUpdateParameters",
    ),
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers": (
        "cosmosdb", "2026-03-15", "SqlContainerCreateUpdateParameters",
    ),
    "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments": (
        "cosmosdb", "2026-03-15", "SqlRoleAssignmentCreateUpdateParameters",
    ),
    "Microsoft.Insights/actionGroups": ("monitor", "2023-01-01", "ActionGroupResource"),
    "Microsoft.Insights/components": ("applicationinsights.v2020_02_02", "2020-02-02", "ApplicationInsightsComponent"),
    "Microsoft.Insights/metricAlerts": ("monitor", "2018-03-01", "MetricAlertResource"),
    "Microsoft.Insights/scheduledQueryRules": ("monitor", "2023-12-01", "ScheduledQueryRuleResource"),
    "Microsoft.Insights/webtests": ("applicationinsights.v2022_06_15", "2022-06-15", "WebTest"),
    "Microsoft.KeyVault/vaults": ("keyvault", "2026-05-15", "VaultCreateOrUpdateParameters"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("msi.v2024_11_30", "2024-11-30", "Identity"),
    "Microsoft.Network/FrontDoorWebApplicationFirewallPolicies": (
        "frontdoor", "2025-10-01", "WebApplicationFirewallPolicy",
    ),
    "Microsoft.Network/networkSecurityGroups": ("network", "2026-03-01", "NetworkSecurityGroup"),
    "Microsoft.Network/privateDnsZones": ("privatedns", "2024-06-01", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": ("privatedns", "2024-06-01", "VirtualNetworkLink"),
    "Microsoft.Network/privateEndpoints": ("network", "2026-03-01", "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": ("network", "2026-03-01", "PrivateDnsZoneGroup"),
    "Microsoft.Network/virtualNetworks": ("network", "2026-03-01", "VirtualNetwork"),
    "Microsoft.OperationalInsights/workspaces": ("loganalytics", "2025-07-01", "Workspace"),
    "Microsoft.ServiceBus/namespaces": ("servicebus", "2026-01-01", "SBNamespace"),
    "Microsoft.ServiceBus/namespaces/topics": ("servicebus", "2026-01-01", "SBTopic"),
    "Microsoft.ServiceBus/namespaces/topics/subscriptions": ("servicebus", "2026-01-01", "SBSubscription"),
    "Microsoft.ServiceBus/namespaces/topics/subscriptions/rules": ("servicebus", "2026-01-01", "Rule"),
    "Microsoft.Storage/storageAccounts": ("storage", "2026-09-01", "StorageAccountCreateParameters"),
    "Microsoft.Storage/storageAccounts/blobServices": ("storage", "2026-09-01", "BlobServiceProperties"),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ("storage", "2026-09-01", "BlobContainer"),
}  # fmt: skip
"""Resource type → library, API version, model. Diagnostic settings are in no library that is still published."""

SUBTYPES = {
    "MetricAlertCriteria": "odata.type",
    "BackupPolicy": "type",
    "MultiMetricCriteria": "criterionType",
    "SecurityPolicyPropertiesParameters": "type",
}
"""Models with a discriminator, whose subtypes have the properties."""


def main() -> int:
    """Walk the models and write what they say."""
    types: dict[str, Any] = {}
    classes: dict[str, Any] = {}
    for type_, (library, version, model) in MODELS.items():
        module = importlib.import_module(f"azure.mgmt.{library}.models")
        types[type_] = {"version": version, "model": f"{library}.{model}"}
        _walk(module, library, model, classes)
    named = f'"types": {_lines(types)},\n"models": {_lines(dict(sorted(classes.items())))}'
    text = '{"note": "Made by `python -m tools.arm_types`.",\n' + named + "}\n"
    FILE.write_text(text, encoding="utf-8")
    return 0


def _lines(content: Mapping[str, Any]) -> str:
    """JSON with a line for each entry."""
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()) + "\n}"


def _walk(module: Any, library: str, name: str, into: dict[str, Any]) -> None:
    key = f"{library}.{name}"
    if key in into:
        return
    properties: dict[str, Any] = {}
    into[key] = properties
    model = getattr(module, name)
    models = [model, *(_subtypes(model) if name in SUBTYPES else ())]
    for each in models:
        for path, annotation, is_read_only in _properties(each):
            described = _described(module, library, annotation)
            if is_read_only:
                described["readOnly"] = True
            _put(properties, path, described)
            if "model" in described:
                _walk(module, library, described["model"].rpartition(".")[2], into)
    if name in SUBTYPES:
        properties[SUBTYPES[name]] = {}


def _subtypes(model: Any) -> Iterator[Any]:
    for each in model.__subclasses__():
        yield each
        yield from _subtypes(each)


def _put(properties: dict[str, Any], path: list[str], described: Mapping[str, Any]) -> None:
    for part in path[:-1]:
        properties = properties.setdefault(part, {"properties": {}})["properties"]
    properties[path[-1]] = dict(described)


def _properties(model: Any) -> Iterator[tuple[list[str], str, bool]]:
    """Path of names, the type as text, whether only Azure sets it: of either generation of the libraries."""
    if hasattr(model, "_attribute_map"):
        for attribute, each in model._attribute_map.items():
            path = [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", each["key"])]
            yield path, each["type"], bool(model._validation.get(attribute, {}).get("readonly"))
        return
    for owner in reversed(model.__mro__):
        for attribute, annotation in inspect.get_annotations(owner).items():
            field = owner.__dict__.get(attribute)
            if field is not None and hasattr(field, "_visibility"):
                yield [field._rest_name_input or attribute], str(annotation), field._visibility == ["read"]


def _described(module: Any, library: str, annotation: str) -> dict[str, Any]:
    described: dict[str, Any] = {}
    if re.search(r"list\[|List\[|^\[", annotation):
        described["list"] = True
    if re.search(r"dict\[|Dict\[|^\{", annotation):
        described["map"] = True
    for name in re.findall(r"\w+", annotation):
        found = getattr(module, name, None)
        if not isinstance(found, type):
            continue
        if hasattr(found, "__members__"):
            described["values"] = [str(member.value) for member in found.__members__.values()]
        elif hasattr(found, "_attribute_map") or hasattr(found, "as_dict"):
            described["model"] = f"{library}.{name}"
    return described


if __name__ == "__main__":
    sys.exit(main())

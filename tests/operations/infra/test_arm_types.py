"""Every property of every resource is one that Azure takes at the API version used, as its own libraries have it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.operations.infra.templates import ENVIRONMENTS, behind_front_door, empty, locks, running

TYPES: Mapping[str, Any] = json.loads(Path("tests/operations/infra/arm_types.json").read_text(encoding="utf-8"))
OF_ANY = {"name", "location", "tags", "kind", "sku", "identity", "zones"}
UNKNOWN = {"Microsoft.Insights/diagnosticSettings"}
"""In no library that is still published."""


def complaints(type_: str, body: Mapping[str, Any]) -> list[str]:
    model = TYPES["types"][type_]["model"]
    return [
        each
        for key, value in body.items()
        if key not in OF_ANY or key in TYPES["models"][model]
        for each in _of(key, value, TYPES["models"][model], type_)
    ]


def _of(key: str, value: Any, properties: Mapping[str, Any], where: str) -> Iterator[str]:
    known = properties.get(key)
    if known is None:
        yield f"{where} has no {key}"
        return
    if known.get("readOnly") and key not in ("name", "location"):
        yield f"{where}.{key} is Azure's to set"
    if value is None:
        return
    is_list = isinstance(value, list)
    if "list" in known and not is_list:
        yield f"{where}.{key} is a list"
    if is_list and "list" not in known and ("model" in known or "values" in known):
        yield f"{where}.{key} is no list"
    for each in value if is_list else [value]:
        yield from _of_one(each, known, f"{where}.{key}")


def _of_one(value: Any, known: Mapping[str, Any], where: str) -> Iterator[str]:
    if isinstance(value, list):  # a list of lists
        for each in value:
            yield from _of_one(each, known, where)
        return
    inner = known.get("properties") or (TYPES["models"][known["model"]] if "model" in known else None)
    if "values" in known and isinstance(value, str) and value not in known["values"]:
        yield f"{where} is one of {known['values']}, not {value}"
    if inner is None or "map" in known:
        return
    if not isinstance(value, Mapping):
        yield f"{where} is an object, not {value!r}"
        return
    for key, each in value.items():
        yield from _of(key, each, inner, where)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_property_is_one_that_azure_takes(environment: str) -> None:
    found = {
        complaint
        for made in (empty(environment), running(environment), behind_front_door(), locks())
        for each in made.resources
        if each.type not in UNKNOWN
        for complaint in complaints(each.type, each.body)
    }
    assert found == set()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_api_versions_are_those_that_the_properties_were_looked_up_for(environment: str) -> None:
    for each in (*running(environment).resources, *behind_front_door().resources, *locks().resources):
        if each.type not in UNKNOWN:
            assert each.version == TYPES["types"][each.type]["version"], each.type


def test_a_wrong_property_is_found() -> None:
    wrong = {"name": "n", "properties": {"maxDeliveryCounts": 3, "status": "Asleep", "clientAffineProperties": []}}
    assert set(complaints("Microsoft.ServiceBus/namespaces/topics/subscriptions", wrong)) == {
        "Microsoft.ServiceBus/namespaces/topics/subscriptions.properties has no maxDeliveryCounts",
        "Microsoft.ServiceBus/namespaces/topics/subscriptions.properties.status is one of ['Active', 'Disabled', "
        "'Restoring', 'SendDisabled', 'ReceiveDisabled', 'Creating', 'Deleting', 'Renaming', 'Unknown'], not Asleep",
        "Microsoft.ServiceBus/namespaces/topics/subscriptions.properties.clientAffineProperties is no list",
    }

"""The reader of Bicep files computes what Azure would make, and fails where a deployment would."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tools.infra.bicep.evaluate import NotComputable, deployment

MAIN = """
@description('A name.')
@minLength(3)
param name string

@description('How many.')
param count int = 2

var names = [for part in ['a', 'b']: '${name}-${part}']

module store 'store.bicep' = [for (each, i) in names: if (count > i) {
  name: 'store-${each}'
  params: {
    name: each
    size: 'small'
  }
}]

@description('Where.')
output first string = store[0].outputs.id
"""

STORE = """
@description('Its name.')
param name string

@description('How large.')
@allowed([
  'small'
  'large'
])
param size string

resource bus 'Microsoft.ServiceBus/namespaces@2026-01-01' = {
  name: name
  properties: {
    disableLocalAuth: size == 'small'
  }
}

resource topic 'Microsoft.ServiceBus/namespaces/topics@2026-01-01' = {
  parent: bus
  name: 'orders'
}

@description('Which.')
output id string = topic.id
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(main: str = MAIN, store: str = STORE) -> Path:
        (tmp_path / "store.bicep").write_text(store, encoding="utf-8")
        (tmp_path / "main.bicep").write_text(main, encoding="utf-8")
        return tmp_path / "main.bicep"

    return written


def test_what_a_template_makes_is_computed(write: Write) -> None:
    made = deployment(write(MAIN, STORE), {"name": "bus", "count": 1})
    assert [(each.type.rpartition("/")[2], each.name) for each in made.resources] == [
        ("namespaces", "bus-a"),
        ("topics", "orders"),
    ]
    assert made.resources[0].body["properties"] == {"disableLocalAuth": True}
    assert made.outputs["first"].endswith("/namespaces/bus-a/topics/orders")


@pytest.mark.parametrize(
    ("sound", "broken", "parameters", "complaint"),
    [
        ("", "", {"name": "b"}, "breaks @minLength(3)"),
        ("", "", {"name": "bus", "colour": "red"}, "no such parameters: colour"),
        ("", "", {"name": "bus", "count": 0}, "something that is not made"),
        ("store[0]", "store[2]", {"name": "bus"}, "there is no [2]"),
        ("'${name}-${part}'", "'${name}'", {"name": "bus"}, "is made twice"),
        ("in ['a', 'b']", "in names", {"name": "bus"}, "a circle"),
        ("outputs.id", "outputs.ident", {"name": "bus"}, "there is no ident"),
        ("    size: 'small'\n", "", {"name": "bus"}, "the parameter size is needed"),
        ("size: 'small'", "size: 3", {"name": "bus"}, "size is string, not 3"),
        ("part in ['a', 'b']: '${name}", "part in ['a', 'b']: '${nome}", {"name": "bus"}, "there is no nome"),
    ],
)  # fmt: skip
def test_a_deployment_that_would_fail_is_found_out(
    write: Write, sound: str, broken: str, parameters: dict[str, object], complaint: str
) -> None:
    with pytest.raises(NotComputable) as failed:
        deployment(write(MAIN.replace(sound, broken) if sound else MAIN, STORE), parameters)
    assert complaint in str(failed.value)

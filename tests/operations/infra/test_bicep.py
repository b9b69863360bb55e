"""The reader of Bicep files finds what the compiler would: broken names, parameters, outputs, types."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tools.infra.bicep.evaluate import NotComputable, deployment
from tools.infra.bicep.resolve import faults_of

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


def test_sound_files_have_no_faults(write: Write) -> None:
    assert faults_of(write(MAIN, STORE)) == []


@pytest.mark.parametrize(
    ("file", "sound", "broken", "complaint"),
    [
        ("main", "part in ['a', 'b']: '${name}", "part in ['a', 'b']: '${nome}", "there is no nome here"),
        ("main", "if (count > i)", "if (cuont > i)", "there is no cuont here"),
        ("main", "'store.bicep'", "'stores.bicep'", "there is no stores.bicep"),
        ("main", "    size: 'small'\n", "", "store.bicep needs the parameter size"),
        ("main", "    size: 'small'\n", "    size: 'small'\n    colour: 'red'\n", "has no parameter colour"),
        ("main", "size: 'small'", "size: 3", "size is string, not int"),
        ("main", "size: 'small'", "size: 'tiny'", "size is one of small, large, not tiny"),
        ("main", "outputs.id", "outputs.ident", "module store has no output ident"),
        ("main", "store[0].outputs", "store.outputs", "store is many: say which"),
        ("main", "param count int = 2", "param count int = 'two'", "count is int, not string"),
        ("main", "@minLength(3)", "@minimumLength(3)", "there is no @minimumLength"),
        ("main", "(each, i) in names", "(each, i) in concat(names, nemas)", "there is no nemas here"),
        ("main", "(each, i) in names", "(each, i) in concatenated(names)", "there is no function concatenated"),
        ("main", "var names", "var other = 1\nvar names", "var other is not used"),
        ("main", "@description('How many.')\n", "", "param count has no description"),
        ("main", "param count int", "@description('Twice.')\nparam name int", "name is declared twice"),
        ("store", "topic.id", "topic.ident", "resource topic has no ident"),
        ("store", "@2026-01-01' = {\n  name: name", "' = {\n  name: name", "no resource type with an API version"),
        ("store", "  parent: bus\n", "", "it needs a parent"),
        ("store", "parent: bus", "parent: bos", "there is no bos here"),
        ("store", "namespaces/topics@", "registries/topics@", "is no part of"),
        ("store", "  name: 'orders'\n", "  naem: 'orders'\n", "a resource has no naem"),
        ("store", "size == 'small'", "size = 'small'", "is wanted"),
        ("store", "'orders'", "'orders", "a text without its end"),
    ],
)
def test_a_broken_file_is_found_out(write: Write, file: str, sound: str, broken: str, complaint: str) -> None:
    files = {"main": MAIN, "store": STORE}
    assert sound in files[file]
    files[file] = files[file].replace(sound, broken)
    assert complaint in "\n".join(map(str, faults_of(write(files["main"], files["store"]))))


def test_a_file_of_parameters_is_held_against_its_template(write: Write) -> None:
    template = write(MAIN, STORE)
    parameters = template.with_name("dev.bicepparam")
    parameters.write_text("using 'main.bicep'\n\nparam cuont = 3\n", encoding="utf-8")
    faults = "\n".join(map(str, faults_of(parameters)))
    assert "needs the parameter name" in faults
    assert "has no parameter cuont" in faults


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
    ],
)  # fmt: skip
def test_a_deployment_that_would_fail_is_found_out(
    write: Write, sound: str, broken: str, parameters: dict[str, object], complaint: str
) -> None:
    with pytest.raises(NotComputable) as failed:
        deployment(write(MAIN.replace(sound, broken) if sound else MAIN, STORE), parameters)
    assert complaint in str(failed.value)

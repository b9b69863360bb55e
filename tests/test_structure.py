"""Tests look at what is public: how a thing is made inside may then change without them.

Ruff (SLF001) sees `thing._name`; here is what it does not see.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent


def is_private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__")


def private_names(source: str) -> Iterator[str]:
    """What it imports, or gets or patches by a string, that is private."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=module, names=names):
                yield from (f"{module}.{each.name}" for each in names if is_private(each.name))
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "delattr")
                | ast.Attribute(attr="setattr" | "delattr" | "object"),
                args=[_, ast.Constant(value=name), *_],
            ) if is_private(name):
                yield str(name)


def test_a_private_name_is_seen_however_it_is_reached() -> None:
    assert list(private_names("from cludale.x import _y")) == ["cludale.x._y"]
    assert list(private_names("monkeypatch.setattr(store, '_writer', None)")) == ["_writer"]
    assert list(private_names("getattr(store, '_writer')")) == ["_writer"]
    assert list(private_names("from cludale import __version__; getattr(store, 'name')")) == []


def test_no_test_takes_a_private_name_of_what_it_tests() -> None:
    found = {
        str(path.relative_to(TESTS)): names
        for path in sorted(TESTS.rglob("*.py"))
        if (names := list(private_names(path.read_text(encoding="utf-8"))))
    }
    assert found == {}

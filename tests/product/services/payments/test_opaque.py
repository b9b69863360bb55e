"""Payments hands seats on as it got them, and looks at nothing of them but which concert they are for."""

import ast
from pathlib import Path

import msgspec
import pytest

import cludale.services.payments
from cludale.kernel.allocation import Allocation

SOURCES = sorted(Path(cludale.services.payments.__path__[0]).glob("*.py"))
FIELDS = {field.name for field in msgspec.structs.fields(Allocation)}


@pytest.mark.parametrize("source", SOURCES, ids=[source.name for source in SOURCES])
def test_it_reads_no_field_of_an_allocation_but_the_concert(source: Path) -> None:
    read = {node.attr for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Attribute)}
    assert FIELDS & read <= {"concert_id"}

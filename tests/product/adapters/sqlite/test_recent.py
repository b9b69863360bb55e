"""The memory of what was written last."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.product.contracts.samples import NOTE, ORDER, key

from cludale.adapters.sqlite.recent import Recent
from cludale.ports.records import Kind, Stored, VersionConflict
from cludale.runtime.planning import Rows

LARGE = b"a body of more bytes than a generation has room for."
"""Of 50."""


def rows(version: int, *ids: str, kind: Kind = NOTE, body: bytes = b"body") -> dict[Kind, Rows]:
    written = Rows()
    for id in ids:
        (written.fresh if version == 1 else written.changed)[id] = (id, version, body)
    return {kind: written}


def versions(recent: Recent, *ids: str, kind: Kind = NOTE) -> dict[str, int]:
    found, missing = recent.get(kind, [key(id) for id in ids])
    assert set(found) | set(missing) == set(ids)
    return {id: stored.version for id, stored in found.items()}


@pytest.fixture
def recent() -> Recent:
    """Has room for two generations of 50 bytes, and was asked for notes."""
    memory = Recent(100)
    versions(memory, "any")
    return memory


def test_what_was_written_is_found_as_it_was_written_last(recent: Recent) -> None:
    recent.add(rows(1, "a", "b"))
    recent.add(rows(2, "a"))
    assert versions(recent, "a", "b", "c") == {"a": 2, "b": 1}
    assert recent.get(NOTE, [key("a")]) == ({"a": Stored("a", 2, b"body")}, [])


def test_a_kind_that_no_one_asks_for_is_not_kept(recent: Recent) -> None:
    recent.add(rows(1, "a", kind=ORDER))
    assert versions(recent, "a", kind=ORDER) == {}
    recent.add(rows(2, "a", kind=ORDER))
    assert versions(recent, "a", kind=ORDER) == {"a": 2}


def test_a_kind_that_is_asked_for_no_more_is_forgotten_after_a_generation(recent: Recent) -> None:
    for id in "abcd":
        recent.add(rows(1, id, body=LARGE))
    assert versions(recent, *"abcd") == {}


def test_kinds_are_apart(recent: Recent) -> None:
    recent.add(rows(1, "a"))
    assert versions(recent, "a", kind=ORDER) == {}


def test_the_oldest_is_forgotten_and_never_found_in_place_of_newer(recent: Recent) -> None:
    recent.add(rows(1, "a", "b", body=LARGE))
    recent.add(rows(2, "a"))
    assert versions(recent, "a", "b") == {"a": 2, "b": 1}
    recent.add(rows(3, "a", body=LARGE))
    recent.add(rows(1, "c"))
    assert versions(recent, "a", "b", "c") == {"a": 3, "c": 1}


def test_what_conflicted_is_forgotten(recent: Recent) -> None:
    recent.add(rows(1, "a", "b", body=LARGE))
    recent.add(rows(2, "a"))
    recent.forget(VersionConflict(frozenset({"a"})))
    assert versions(recent, "a", "b") == {"b": 1}


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["write", "ask"]), st.sampled_from([NOTE, ORDER]), st.sampled_from("abcde")),
        max_size=80,
    )
)
def test_whatever_is_asked_and_written_nothing_old_is_found(steps: list[tuple[str, Kind, str]]) -> None:
    recent = Recent(100)
    now: dict[tuple[Kind, str], int] = {}
    for step, kind, id in steps:
        if step == "write":
            now[kind, id] = now.get((kind, id), 0) + 1
            recent.add(rows(now[kind, id], id, kind=kind, body=b"twenty bytes of body"))
        else:
            found = versions(recent, id, kind=kind)
            assert found in ({}, {id: now.get((kind, id))})

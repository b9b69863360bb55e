"""The memory of what was written last."""

from tests.contracts.samples import NOTE, ORDER, key

from cludale.adapters.sqlite.planning import Rows
from cludale.adapters.sqlite.recent import Recent
from cludale.ports.records import Kind, Stored, VersionConflict


def rows(version: int, *ids: str, kind: Kind = NOTE) -> dict[Kind, Rows]:
    written = Rows()
    for id in ids:
        (written.fresh if version == 1 else written.changed)[id] = (id, version, b"body")
    return {kind: written}


def versions(recent: Recent, *ids: str, kind: Kind = NOTE) -> dict[str, int]:
    found, missing = recent.get(kind, [key(id) for id in ids])
    assert set(found) | set(missing) == set(ids)
    return {id: stored.version for id, stored in found.items()}


def test_what_was_written_is_found_as_it_was_written_last() -> None:
    recent = Recent(1000)
    recent.add(rows(1, "a", "b"), 8)
    recent.add(rows(2, "a"), 4)
    assert versions(recent, "a", "b", "c") == {"a": 2, "b": 1}
    assert recent.get(NOTE, [key("a")]) == ({"a": Stored("a", 2, b"body")}, [])


def test_kinds_are_apart() -> None:
    recent = Recent(1000)
    recent.add(rows(1, "a"), 4)
    assert versions(recent, "a", kind=ORDER) == {}


def test_the_oldest_is_forgotten_and_never_found_in_place_of_newer() -> None:
    recent = Recent(100)
    recent.add(rows(1, "a", "b"), 50)
    recent.add(rows(2, "a"), 50)
    assert versions(recent, "a", "b") == {"a": 2, "b": 1}
    recent.add(rows(1, "c"), 50)
    assert versions(recent, "a", "b", "c") == {"a": 2, "c": 1}
    recent.add(rows(3, "a"), 50)
    assert versions(recent, "a", "c") == {"a": 3, "c": 1}


def test_what_is_too_big_is_not_kept_and_hides_what_was_there() -> None:
    recent = Recent(100)
    recent.add(rows(1, "a"), 4)
    recent.add(rows(2, "a"), 51)
    assert versions(recent, "a") == {}


def test_what_conflicted_is_forgotten() -> None:
    recent = Recent(100)
    recent.add(rows(1, "a", "b"), 50)
    recent.add(rows(2, "a"), 4)
    recent.forget(VersionConflict(frozenset({"a"})))
    assert versions(recent, "a", "b") == {"b": 1}

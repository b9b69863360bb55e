"""The segments of the audit log: one after another, each in its own partition, none written once it is sealed."""

import pytest
from tests.proof.checker.worlds import busy_world, encoded

from cludale_proof.checker import SafetyChecker, Write
from cludale_proof.checker.documents import Head
from cludale_proof.checker.segment_rules import Segments, one_after_another
from cludale_proof.checker.snapshot import MemorySnapshot, Row
from cludale_proof.checker.whole import check

AT = "2027-06-05T19:30:00Z"


def sealed(segment: int, before: int, sequence: int, hash: str = "a") -> Head:
    return Head(segment=segment, before=before, sequence=sequence, hash=hash, sealed_at=AT)


def rules_of(*writes: tuple[str, Head], limit: int | None = None) -> list[str]:
    segments = Segments(limit)
    return [found.rule for partition, head in writes for found in segments.write(partition, head)]


def test_segments_that_follow_one_another_pass() -> None:
    assert not rules_of(
        ("log", Head(sequence=3)),
        ("log", sealed(0, 0, 5)),
        ("log-1", Head(segment=1, before=5, sequence=6)),
        ("log-1", sealed(1, 5, 11)),
        limit=5,
    )


@pytest.mark.parametrize(
    ("rule", "after"),
    [
        ("after-the-seal", ("log", Head(segment=1, before=5, sequence=6))),
        ("segment", ("log-1", Head(segment=1, before=4, sequence=6))),
        ("segment", ("log-2", Head(segment=2, before=5, sequence=6))),
        ("not-sealed", ("log-1", Head(segment=1, before=5, sequence=10))),
    ],
)
def test_a_segment_that_goes_on_wrongly_is_found(rule: str, after: tuple[str, Head]) -> None:
    assert rules_of(("log", sealed(0, 0, 5)), after, limit=5) == [rule]


def test_a_full_segment_may_be_open_while_an_event_waits_in_it() -> None:
    assert not rules_of(("log", Head(sequence=8, waiting=1)), limit=5)


def test_a_segment_that_begins_before_the_last_is_sealed_is_found() -> None:
    assert rules_of(("log", Head(sequence=5)), ("log-1", Head(segment=1, before=5, sequence=6))) == ["segment"]


def test_heads_in_a_store_have_to_follow_one_another_too() -> None:
    heads = [Head(segment=2, before=9, sequence=12), sealed(0, 0, 5), sealed(1, 5, 9)]
    assert one_after_another(heads) == []
    assert [found.rule for found in one_after_another(heads[:2])] == ["segment"]


def test_a_seal_with_another_hash_is_found_in_a_store() -> None:
    world = busy_world()
    snapshot = world.snapshot()
    records = dict(snapshot.records)
    (last,) = records["audit/head"]
    assert not isinstance(last.body, bytes)
    entries = records["audit/event"]
    third = entries[2].body
    assert not isinstance(third, bytes)
    seal = {"sequence": 3, "hash": third["hash"], "sealed_at": AT}
    records["audit/head"] = [Row("head", 1, seal), Row("head-1", 1, {**last.body, "segment": 1, "before": 3})]

    def found() -> set[str]:
        report = check(MemorySnapshot(records, (), snapshot.lines, snapshot.committed), now=world.now)
        return {each.rule for each in report.violations}

    assert found() == set()
    seal["hash"] = "f" * 64
    assert found() == {"seal"}


@pytest.mark.parametrize(("apart", "rules"), [(False, set()), (True, {"version-gap"})])
def test_a_record_that_a_later_segment_writes_is_the_same_where_partitions_are_not_apart(
    apart: bool, rules: set[str]
) -> None:
    checker = SafetyChecker(apart=apart)
    waiting = encoded({"ids": [], "events": []})
    assert checker.commit([Write("audit/waiting", "event-1", 1, waiting, "log")]) == []
    found = checker.commit([Write("audit/waiting", "event-1", 2, waiting, "log-1")])
    assert {each.rule for each in found} == rules

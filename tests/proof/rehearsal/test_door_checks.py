"""What must hold after an evening at the door: each promise, broken alone, is named."""

from typing import Any

import msgspec
import pytest

from cludale_proof.rehearsal import door_checks
from cludale_proof.rehearsal.plan import DoorCounts, Evening, EveningSeen, Latency

RIGHT = EveningSeen(
    good={"a", "b", "c"},
    void={"v"},
    forged=1,
    shown_online={"a": 2, "b": 1, "v": 1, "": 1},
    let_in_online={"a": 1, "b": 1},
    let_in_alone={"b": 1, "c": 1},
    counts=DoorCounts(admitted=3, inside=4),
    double_entries={"b": 1},
    audited=4,
)
SAID = {"valid": 4, "used": 1, "revoked": 1, "forged": 1}


def broken(seen: EveningSeen, said: dict[str, int] = SAID, errors: dict[str, int] | None = None) -> list[str]:
    evening = Evening(
        showings=7,
        said=said,
        errors=errors or {},
        seconds=1.0,
        answers_per_second=5.0,
        latency=Latency(1.0, 1.0, 1.0, 1.0),
        seen=seen,
    )
    return [check.name for check in door_checks.of(evening) if not check.ok]


def test_an_evening_on_which_all_holds() -> None:
    assert broken(RIGHT) == []


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"shown_online": {"a": 2, "b": 1, "c": 1}}, "each ticket was let in once"),
        ({"double_entries": {}}, "double entries are named"),
        ({"double_entries": {"b": 1, "a": 1}}, "double entries are named"),
        ({"counts": DoorCounts(admitted=3, inside=3)}, "who came is counted"),
        ({"audited": 5}, "each entry is in the audit, once"),
        ({"forged": 2}, "nobody came in with another code"),
        ({"good": {"a", "b"}, "void": {"c"}}, "nobody came in with another code"),
    ],
)
def test_a_promise_that_is_broken_is_named(changed: dict[str, Any], name: str) -> None:
    assert broken(msgspec.structs.replace(RIGHT, **changed)) == [name]


def test_a_ticket_that_was_let_in_twice_at_doors_with_network_is_named() -> None:
    twice = msgspec.structs.replace(RIGHT, let_in_online={"a": 2, "b": 1})
    assert "each ticket was let in once" in broken(twice)


def test_codes_without_an_answer_are_named() -> None:
    assert broken(RIGHT, errors={"no answer in 10 s": 1}) == ["every code got an answer"]
    assert broken(RIGHT, SAID | {"status 503": 1}) == ["every code got an answer"]

"""What a rehearsal makes of the audit's order."""

from cludale_proof.rehearsal.checks import in_causal_order, stories_of
from cludale_proof.rehearsal.plan import AuditedEvent, Payload


def told(sequence: int, id: str, cause: str | None = None, *, late: bool = False) -> AuditedEvent:
    return AuditedEvent(sequence, id, "OrderPaid", "order-1", cause, Payload(), late)


def test_an_effect_before_its_cause_does_not_hold() -> None:
    check = in_causal_order([told(1, "b", "a"), told(2, "a")])
    assert not check.ok
    assert "1 without an earlier cause" in check.found


def test_an_effect_that_is_marked_late_is_told_apart() -> None:
    check = in_causal_order([told(1, "b", "a", late=True), told(2, "a"), told(3, "c", "a")])
    assert check.ok
    assert "0 without an earlier cause, 1 marked late" in check.found


def test_a_fact_that_is_told_again_is_one_fact() -> None:
    first, again = told(1, "a"), AuditedEvent(2, "b", "OrderPaid", "order-1", None, Payload(), repeated=True)
    assert stories_of([again, first]) == stories_of([first]) == stories_of([again]) == {"order-1": {"OrderPaid": 1}}

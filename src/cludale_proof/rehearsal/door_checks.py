"""What must hold after an evening at the door. Pure: no I/O, and none of the services' code."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from cludale_proof.rehearsal.plan import Check, Evening, EveningSeen

_EXAMPLES: Final = 3


def of(evening: Evening) -> list[Check]:
    """All of it."""
    seen = evening.seen
    return [
        _answered(evening),
        _once(seen),
        _nobody_else(evening),
        _double_entries(seen),
        _counted(seen),
        _audited(seen),
    ]


def _answered(evening: Evening) -> Check:
    failed = sum(evening.errors.values()) + sum(n for said, n in evening.said.items() if said.startswith("status "))
    return Check("every code got an answer", not failed, f"{evening.showings} codes shown, {failed} without an answer")


def _once(seen: EveningSeen) -> Check:
    """At doors with network a ticket that was shown there is let in once, however often it was shown."""
    wrong = [id for id in seen.shown_online if id in seen.good and seen.let_in_online.get(id, 0) != 1]
    shown = sum(id in seen.good for id in seen.shown_online)
    return Check("each ticket was let in once", not wrong, f"{shown - len(wrong)} of {shown}{_such_as(wrong)}")


def _nobody_else(evening: Evening) -> Check:
    """Void and forged codes let nobody in, at whatever door."""
    seen = evening.seen
    wrong = sorted({*seen.let_in_online, *seen.let_in_alone} - seen.good)
    forged = evening.said.get("forged", 0)
    found = f"{forged} of {seen.forged} forged codes refused, {len(seen.void)} tickets are void{_such_as(wrong)}"
    return Check("nobody came in with another code", not wrong and forged == seen.forged, found)


def _double_entries(seen: EveningSeen) -> Check:
    """Whoever was let in by doors that could not know of each other is named, and nobody else is."""
    due = Counter({id: entries - 1 for id, entries in _entries(seen).items() if entries > 1})
    wrong = sorted(id for id in {*due, *seen.double_entries} if due[id] != seen.double_entries.get(id, 0))
    found = f"{sum(seen.double_entries.values())} named, {due.total()} happened{_such_as(wrong)}"
    return Check("double entries are named", not wrong, found)


def _counted(seen: EveningSeen) -> Check:
    entries = _entries(seen)
    ok = (seen.counts.admitted, seen.counts.inside) == (len(entries), entries.total())
    found = f"{seen.counts.inside} inside with {seen.counts.admitted} tickets; it was {entries.total()}, {len(entries)}"
    return Check("who came is counted", ok, found)


def _audited(seen: EveningSeen) -> Check:
    entries = _entries(seen).total()
    return Check("each entry is in the audit, once", seen.audited == entries, f"{seen.audited} of {entries} entries")


def _entries(seen: EveningSeen) -> Counter[str]:
    """How many came in with each ticket."""
    return Counter(seen.let_in_online) + Counter(seen.let_in_alone)


def _such_as(examples: list[str]) -> str:
    return "".join(_listed(examples)) if examples else ""


def _listed(examples: list[str]) -> Iterator[str]:
    yield f"; wrong: {', '.join(examples[:_EXAMPLES])}"
    if len(examples) > _EXAMPLES:
        yield f" and {len(examples) - _EXAMPLES} more"

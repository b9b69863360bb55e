"""The rules of waiting lists: first come, first served, by the log alone.

Who joined a section's list has a place on it. An offer never passes somebody before it whose party it would have
seated; each place ends once; while anybody waits, nobody else gets seats of the section but out of a block.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from cludale_proof.checker.documents import Section
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Violation
from cludale_proof.checker.section_rules import SectionKey, broken

JOINED, LEFT, OFFERED = "WaitingListJoined", "WaitingListLeft", "SeatsOffered"


class Walked(NamedTuple):
    """Seats that were held for an order."""

    order_id: str | None
    at: datetime
    event_id: str


class Line:
    """A section's waiting list as its events tell of it, in the order in which they were committed."""

    def __init__(self, key: SectionKey) -> None:
        self.key = key
        self.joined = 0
        self.waiting: dict[int, Fact] = {}
        """By place: who joined and waits yet."""

    def take(self, fact: Fact) -> Iterator[Violation]:
        """Take in what happened next."""
        data, place = fact.event.data, fact.event.data.place or 0
        if fact.event.type == JOINED:
            if place != self.joined + 1:
                yield broken(self.key, "list-gap", f"place {place} was given after place {self.joined}")
            self.joined = place
            self.waiting[place] = fact
            return
        joined = self.waiting.pop(place, None)
        if joined is None or joined.event.data.order_id != data.order_id:
            what = "offered seats" if fact.event.type == OFFERED else "taken off the list"
            detail = f"place {place} of {data.order_id} was {what} ({fact.event.id}), and it does not wait"
            yield broken(self.key, "list-ended-twice", detail, invariant=Invariant.ONE_END)
        elif fact.event.type == OFFERED:
            yield from self._in_turn(fact, joined)

    def _in_turn(self, offer: Fact, joined: Fact) -> Iterator[Violation]:
        seats, place = offer.event.data.quantity or 0, offer.event.data.place or 0
        if seats != joined.event.data.quantity:
            detail = f"place {place} waited for {joined.event.data.quantity} seats, and is offered {seats}"
            yield broken(self.key, "offer-differs", detail)
        for before, other in self.waiting.items():
            if before < place and (other.event.data.quantity or 0) <= seats:
                detail = f"{seats} seats were offered to place {place}, and place {before} waits for no more"
                yield broken(self.key, "list-passed", detail, invariant=Invariant.ONE_WINNER)
                return

    def walked(self, fact: Fact) -> Iterator[Violation]:
        """Seats are held: for somebody whose turn it is, or out of a block, while anybody waits."""
        data = fact.event.data
        if not self.waiting or data.block is not None:
            return
        if all(each.event.data.order_id != data.order_id for each in self.waiting.values()):
            yield _past(self.key, data.order_id, fact.event.id, len(self.waiting))

    def counted(self, section: Section | None) -> Iterator[Violation]:
        """Does the section count as many waiting orders as the events say?"""
        counted = 0 if section is None else section.waiting
        if counted != len(self.waiting):
            yield broken(self.key, "waiting-differs", f"it counts {counted} who wait, and {len(self.waiting)} do")


def _past(key: SectionKey, order_id: str | None, event_id: str, waiting: int) -> Violation:
    detail = f"{event_id}: seats were held for {order_id}, who did not wait, while {waiting} did"
    return broken(key, "past-the-list", detail, invariant=Invariant.ONE_WINNER)


class _Wait(NamedTuple):
    place: int
    order_id: str | None
    quantity: int
    since: datetime
    until: datetime | None
    offered: Fact | None


class LineTold:
    """The same of a log that is read as a whole: what happened when, by the times of the events."""

    def __init__(self, key: SectionKey) -> None:
        self.key = key
        self._joined: dict[int, Fact] = {}
        self._ended: dict[int, Fact] = {}
        self._twice: list[tuple[Fact, Fact]] = []
        self.held: list[Walked] = []

    def add(self, fact: Fact) -> None:
        """Take in an event of the list."""
        slots = self._joined if fact.event.type == JOINED else self._ended
        before = slots.setdefault(fact.event.data.place or 0, fact)
        if before.event.id != fact.event.id:
            self._twice.append((before, fact))

    def judged(self, section: Section | None, skew: timedelta) -> Iterator[Violation]:
        """What is wrong with it."""
        for before, fact in self._twice:
            detail = f"{before.event.type} {before.event.id} and {fact.event.type} {fact.event.id} are of one place"
            yield broken(self.key, "list-ended-twice", detail, invariant=Invariant.ONE_END)
        if sorted(self._joined) != list(range(1, len(self._joined) + 1)) or not self._ended.keys() <= set(self._joined):
            yield broken(self.key, "list-gap", f"its places are {sorted(self._joined)}, ended {sorted(self._ended)}")
            return
        waits = [self._wait(place) for place in sorted(self._joined)]
        counted, waiting = 0 if section is None else section.waiting, sum(each.until is None for each in waits)
        if counted != waiting:
            yield broken(self.key, "waiting-differs", f"it counts {counted} who wait, and {waiting} do")
        yield from self._passed(waits, skew)
        orders = {each.order_id for each in waits}
        for walked in self.held:
            if walked.order_id in orders:
                continue
            during = [
                each
                for each in waits
                if each.since + skew < walked.at and (each.until is None or walked.at < each.until - skew)
            ]
            if during:
                yield _past(self.key, walked.order_id, walked.event_id, len(during))

    def _wait(self, place: int) -> _Wait:
        joined, ended = self._joined[place].event, self._ended.get(place)
        offered = ended if ended is not None and ended.event.type == OFFERED else None
        until = None if ended is None else ended.event.time
        return _Wait(place, joined.data.order_id, joined.data.quantity or 0, joined.time, until, offered)

    def _passed(self, waits: list[_Wait], skew: timedelta) -> Iterator[Violation]:
        for number, each in enumerate(waits):
            if each.offered is None:
                continue
            at = each.offered.event.time
            for before in waits[:number]:
                waited = before.since + skew < at and (before.until is None or at < before.until - skew)
                if waited and before.quantity <= each.quantity:
                    detail = f"{each.quantity} seats were offered to place {each.place}, and place {before.place}"
                    yield broken(self.key, "list-passed", f"{detail} waits for no more", invariant=Invariant.ONE_WINNER)
                    break

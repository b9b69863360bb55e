"""Dead letters: deliveries that were given up, kept whole with the reason, for somebody to look at."""

import logging
from datetime import datetime
from enum import StrEnum

import msgspec

from cludale.kernel.ids import from_key
from cludale.kernel.refusals import NotFound
from cludale.kernel.times import rfc3339
from cludale.ports.clock import Clock
from cludale.ports.records import Commit, Committed, Kind, Query, Range, Records
from cludale.runtime.aggregates import AggregateStore, Versioned

_log = logging.getLogger(__name__)


class LetterState(StrEnum):
    """What became of a dead letter."""

    WAITING = "Waiting"
    DELIVERED = "Delivered"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """An event that `consumer` could not handle. `body` is the event as it was on the wire."""

    id: str
    consumer: str
    event_type: str
    event_id: str
    reason: str
    attempts: int
    buried_at: datetime
    body: str
    state: LetterState = LetterState.WAITING


LETTERS = AggregateStore(
    Kind("delivery", "dead_letter", ("consumer", "state", "buriedAt"), ("buriedAt",)),
    DeadLetter,
    identity=lambda letter: letter.id,
    index=lambda letter: (letter.consumer, letter.state.value, rfc3339(letter.buried_at)),
)

KINDS = (LETTERS.kind,)


class DeadLetters:
    """The dead letters of all consumers that share a store."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self.buried = 0

    async def bury(
        self, consumer: str, body: bytes, *, event_type: str, event_id: str, reason: str, attempts: int
    ) -> None:
        """Keep a delivery that is given up. Once for each consumer and event."""
        letter = DeadLetter(
            id=from_key("letter", consumer, event_id),
            consumer=consumer,
            event_type=event_type,
            event_id=event_id,
            reason=reason,
            attempts=attempts,
            buried_at=self._clock.now(),
            body=body.decode(errors="replace"),
        )
        (outcome,) = await self._records.commit((Commit(letter.id, (LETTERS.put(letter, 0),)),))
        if not isinstance(outcome, Committed):
            return  # it lies there already
        self.buried += 1
        _log.error("dead letter: %s gave up %s %s after %d: %s", consumer, event_type, event_id, attempts, reason)

    async def find(
        self,
        consumer: str,
        *,
        state: LetterState | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> tuple[list[DeadLetter], str | None]:
        """A page of a consumer's letters, oldest first; `since <= buried_at < until`. Raises UnusableCursor."""
        equal = {"consumer": consumer} | ({"state": state.value} if state else {})
        times = Range(
            "buriedAt",
            None if since is None else rfc3339(since),
            None if until is None else rfc3339(until),
        )
        found, page = await LETTERS.find(
            self._records,
            Query(
                equal=equal,
                within=(times,) if since or until else (),
                order_by="buriedAt",
                after=after,
                limit=limit,
            ),
        )
        return [each.state for each in found], page.next

    async def letter(self, consumer: str, id: str) -> Versioned[DeadLetter]:
        """One of a consumer's letters. Raises NotFound."""
        found = await LETTERS.one(self._records, id)
        if found.state.consumer != consumer:
            raise NotFound(LETTERS.kind.name, id)
        return found

    async def delivered(self, letter: Versioned[DeadLetter]) -> DeadLetter:
        """The letter, which its consumer has taken after all; another who says so at the same time says the same."""
        state = msgspec.structs.replace(letter.state, state=LetterState.DELIVERED)
        await self._records.commit((Commit(state.id, (LETTERS.put(state, letter.version),)),))
        return state

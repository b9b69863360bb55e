"""Aggregates as records: load many, decide each, commit each alone but all together.

For services in which every event touches an aggregate of its own (an order, a payment); a hot aggregate
takes turns instead (`turns.py`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope, Event, envelop
from cludale.kernel.refusals import NotFound
from cludale.ports.bus import Answer, Delivery
from cludale.ports.clock import Clock, IdSource
from cludale.ports.records import (
    AlreadyHandled,
    Commit,
    Committed,
    Handled,
    IndexValue,
    Key,
    Kind,
    Page,
    Put,
    Query,
    Records,
    VersionConflict,
)

S = TypeVar("S")

CONFLICT_RETRIES = 8
"""How often a decision is made anew on what another wrote, before the caller is told to come back."""

_encode = msgspec.json.Encoder().encode


class Versioned(msgspec.Struct, Generic[S], frozen=True, gc=False):
    """A state and the version of the record that it came from; 0 for none yet."""

    state: S
    version: int


class AggregateStore(Generic[S]):
    """The stored form of one kind of aggregate: its struct as JSON, and the values of its indexed fields."""

    def __init__(
        self,
        kind: Kind,
        type_: type[S],
        *,
        identity: Callable[[S], str],
        index: Callable[[S], tuple[IndexValue, ...]] = lambda _: (),
        partition: Callable[[str], str] = lambda id: id,
    ) -> None:
        self.kind = kind
        self._decoder = msgspec.json.Decoder(type_)
        self._identity = identity
        self._index = index
        self.partition = partition

    async def load(
        self, records: Records, ids: Iterable[str], *, partition: str | None = None
    ) -> dict[str, Versioned[S]]:
        """Those of the aggregates that exist, by id; all of one `partition`, if it does not follow from the id."""
        of = self.partition
        keys = [Key(partition, id) for id in ids] if partition is not None else [Key(of(id), id) for id in ids]
        found = await records.get(self.kind, keys)
        decode = self._decoder.decode
        return {id: Versioned(decode(stored.body), stored.version) for id, stored in found.items()}

    async def one(self, records: Records, id: str) -> Versioned[S]:
        """The aggregate. Raises NotFound."""
        found = await self.load(records, (id,))
        if id not in found:
            raise NotFound(self.kind.name, id)
        return found[id]

    async def find(self, records: Records, query: Query) -> tuple[list[Versioned[S]], Page]:
        """A page of aggregates and the page that they came from."""
        page = await records.find(self.kind, query)
        return [Versioned(self.decode(stored.body), stored.version) for stored in page.items], page

    def decode(self, body: bytes) -> S:
        """The state that a stored body holds."""
        return self._decoder.decode(body)

    def id_of(self, state: S) -> str:
        """The aggregate's id."""
        return self._identity(state)

    def put(self, state: S, expected: int) -> Put:
        """Write `state` over version `expected`."""
        return Put(self.kind, self._identity(state), _encode(state), expected, self._index(state))


class Stamp(NamedTuple):
    """Puts the events of one service into envelopes with fresh ids."""

    source: str
    ids: IdSource

    def of(self, decision: Decision[Any], cause: Cause, now: datetime) -> list[Envelope]:
        """The events of a decision that is committed at `now`, all caused alike."""
        return [
            envelop(
                event,
                id=self.ids.new("event"),
                source=self.source,
                time=decision.at or now,
                cause=cause,
                repeated=decision.again,
            )
            for event in decision.events
        ]


class TooEarly(Exception):
    """What the event is about isn't here yet; deliver it again later."""


Decide = Callable[[S | None, Envelope, datetime], Decision[S] | None]
"""Decides on one event, given the state (None: there is none yet). None: nothing to do. May raise TooEarly."""


class EachAlone(Generic[S]):
    """Handles batches of events that each touch one aggregate: one load, one commit call, whatever the batch."""

    def __init__(
        self,
        store: AggregateStore[S],
        records: Records,
        *,
        stamp: Stamp,
        clock: Clock,
        aggregate_of: Callable[[Any], str],
        decisions: Mapping[type[Event], Decide[S]],
    ) -> None:
        self.store = store
        self.records = records
        self._stamp = stamp
        self._clock = clock
        self._aggregate_of = aggregate_of
        self._decisions = decisions

    async def handle(self, deliveries: Sequence[Delivery]) -> tuple[list[Answer], list[Versioned[S]]]:
        """An answer for each delivery, and the new states that were committed."""
        answers = [Answer.RETRY] * len(deliveries)
        changed: list[Versioned[S]] = []
        waiting = list(range(len(deliveries)))
        tries = 0
        while waiting and tries < CONFLICT_RETRIES:
            left = await self._round(deliveries, waiting, answers, changed)
            tries = tries + 1 if len(left) == len(waiting) else 0
            waiting = left
        return answers, changed

    async def _round(
        self, deliveries: Sequence[Delivery], waiting: list[int], answers: list[Answer], changed: list[Versioned[S]]
    ) -> list[int]:
        """Decide and commit the waiting ones; returns those that met a conflict and must be decided anew.

        Each is decided on what is stored, so of two about one aggregate the second meets the first. Decided on the
        first one's outcome, it would stand though the first one fails, and overwrite what another wrote.
        """
        of = self._aggregate_of
        current = await self.store.load(self.records, dict.fromkeys(of(deliveries[i].event.data) for i in waiting))
        now = self._clock.now()
        service = self._stamp.source
        commits: list[Commit] = []
        tried: list[tuple[int, Versioned[S]]] = []
        for i in waiting:
            event = deliveries[i].event
            id = of(event.data)
            known = current.get(id)
            try:
                decision = self._decisions[type(event.data)](known.state if known else None, event, now)
            except TooEarly:
                continue
            if decision is None or (known is not None and decision.state is known.state):
                answers[i] = Answer.SUCCESS  # nothing to change, now or when it comes again
                continue
            version = known.version if known else 0
            commits.append(
                Commit(
                    self.store.partition(id),
                    (self.store.put(decision.state, version),),
                    self._stamp.of(decision, Cause.of(event), now),
                    (Handled(service, event.id),),
                )
            )
            tried.append((i, Versioned(decision.state, version + 1)))
        again: list[int] = []
        outcomes = await self.records.commit(commits) if commits else ()
        for (i, state), outcome in zip(tried, outcomes, strict=True):
            match outcome:
                case Committed():
                    answers[i] = Answer.SUCCESS
                    changed.append(state)
                case AlreadyHandled():
                    answers[i] = Answer.SUCCESS
                case VersionConflict():
                    again.append(i)
        return again


Step = Callable[[S], Decision[S]]
"""What happened to an aggregate outside; applied to the state as it is by then."""


async def apply_steps(
    store: AggregateStore[S],
    records: Records,
    steps: Sequence[tuple[Versioned[S], Step[S]]],
    *,
    stamp: Stamp,
    clock: Clock,
    cause_of: Callable[[S], Cause],
) -> list[Versioned[S]]:
    """Apply each step to its aggregate, in one commit call; again on what another wrote meanwhile.

    Returns the aggregates as they are then, those without a change included. One that meets conflicts over
    and over is left out: whoever has it due takes it up later.
    """
    settled: list[Versioned[S]] = []
    waiting = list(steps)
    for _ in range(CONFLICT_RETRIES):
        now = clock.now()
        commits: list[Commit] = []
        tried: list[tuple[Versioned[S], Step[S]]] = []
        for known, step in waiting:
            decision = step(known.state)
            is_new = decision.state is not known.state
            if not is_new and not decision.events:
                settled.append(known)
                continue
            id = store.id_of(known.state)
            events = stamp.of(decision, cause_of(known.state), now)
            puts = (store.put(decision.state, known.version),) if is_new else ()
            commits.append(Commit(store.partition(id), puts, events))
            tried.append((Versioned(decision.state, known.version + is_new), step))
        outcomes = await records.commit(commits) if commits else ()
        lost = []
        for (next_, step), outcome in zip(tried, outcomes, strict=True):
            if isinstance(outcome, Committed):
                settled.append(next_)
            else:
                lost.append((store.id_of(next_.state), step))
        if not lost:
            break
        current = await store.load(records, [id for id, _ in lost])
        waiting = [(current[id], step) for id, step in lost if id in current]
    return settled

"""Aggregates: how a kind of them is stored, and load → decide → commit, the one way in which a service changes them.

`Updates.update` is for those that change each alone: one load and one commit call for any number of them. What changes
several records in one commit (a section with its reservations, audit's chain) goes through `until_committed`. Nobody
else decides anew after a conflict.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope, Event, envelop
from cludale.kernel.flat import FlatJson
from cludale.kernel.refusals import Busy, NotFound
from cludale.kernel.times import rfc3339
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.clock import Clock, IdSource
from cludale.ports.records import (
    Commit,
    Committed,
    IndexValue,
    Key,
    Kind,
    Outcome,
    Page,
    Put,
    Query,
    Range,
    Records,
)

S = TypeVar("S")


DUE = "dueAt"
"""Name of the index of the time at which an aggregate is next due; not set: nothing is due."""


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
        partition: Callable[[str], str] = str,
        cause: Callable[[S], Cause] = lambda _: Cause(),
    ) -> None:
        """`cause`: what causes the next change of an aggregate, where whoever changes it does not say."""
        self.kind = kind
        json = FlatJson(type_)
        self.decode = json.decode
        """The state that a stored body holds."""
        self._encode = json.encode
        self.id_of = identity
        self._index = index
        self.partition = partition
        self.cause = cause

    async def load(
        self, records: Records, ids: Iterable[str], *, partition: str | None = None
    ) -> dict[str, Versioned[S]]:
        """Those of the aggregates that exist, by id; all of one `partition`, if it does not follow from the id."""
        keys = [Key(self.partition(id) if partition is None else partition, id) for id in ids]
        decode = self.decode
        loaded: dict[str, Versioned[S]] = {}
        for id, stored in (await records.get(self.kind, keys)).items():
            loaded[id] = Versioned(decode(stored.body), stored.version)
        return loaded

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

    def due(self, *, until: datetime, limit: int) -> Query:
        """What has to be done before `until`, the earliest first, for a kind with the index DUE."""
        return Query(within=(Range(DUE, None, rfc3339(until)),), order_by=DUE, limit=limit)

    def put(self, state: S, expected: int) -> Put:
        """Write `state` over version `expected`."""
        return Put(self.kind, self.id_of(state), self._encode(state), expected, self._index(state))


CONFLICT_RETRIES = 8
"""How many version conflicts in a row, with nothing committed in between, end a change with Busy."""

Draft = Callable[[], Awaitable[Sequence[Commit]]]
"""Loads, decides, and returns what to commit; empty: nothing is left to commit."""
Learn = Callable[[Sequence[Outcome]], int]
"""Takes the results of a draft's commits; returns how many must be decided again."""


async def until_committed(records: Records, draft: Draft, learn: Learn) -> bool:
    """Draft and commit until nothing is left; False if every try ended in a conflict."""
    in_vain, before = 0, None
    while in_vain < CONFLICT_RETRIES:
        commits = await draft()
        if not commits:
            return True
        left = learn(await records.commit(commits))
        if not left:
            return True
        in_vain = in_vain + 1 if before is None or left >= before else 0
        before = left
    return False


class AnsweredBefore(Exception):
    """The record to be committed with a change exists already: another request did the work first."""


class TooEarly(Exception):
    """The event's aggregate does not exist yet; deliver the event again later."""


Decide = Callable[[Any, datetime], Decision[S] | None]
"""Decides from the state (None: there is none yet) and the time. Returns None for no change. May raise TooEarly."""

Handler = Callable[[Envelope, S | None, datetime], Decision[S] | None]
"""Decides on one event, as `Decide`."""


class Change(msgspec.Struct, Generic[S], frozen=True, gc=False):
    """One change to one aggregate."""

    store: AggregateStore[S]
    id: str
    decide: Decide[S]
    """A pure function: after a version conflict it is called again with the newer state."""
    cause: Cause | None = None
    """What causes the events that are decided; None: the store tells it from the state."""
    known: Versioned[Any] | None = None
    """The aggregate as it was read before, or NEW; None: it is read now."""
    beside: Callable[[S], Put] | None = None
    """One more record, made from the decided state, that commits with it: a kept response."""
    along: Sequence[Put] = ()
    """More records that commit with it, whatever is decided. One that conflicts has the change decided anew."""
    earlier: Sequence[Envelope] = ()
    """Events of an earlier decision that could not be published before."""


NEW: Versioned[Any] = Versioned(None, 0)
"""Assumed to be new until a commit conflicts: the common case needs no read."""


class ChangeResult(Enum):
    """What came of a change."""

    CHANGED = "committed"
    UNCHANGED = "there was nothing to change"
    TOO_EARLY = "what the event is about is not there yet"
    ANSWERED = "the record beside it is there already; nothing was written"
    CONFLICT = "others were faster, over and over; nothing was written"


# A class of enum finds its members ten times as slowly as a module its names, and there are some for each change.
_CHANGED = ChangeResult.CHANGED
_LATER = (ChangeResult.TOO_EARLY, ChangeResult.CONFLICT)
_SUCCESS, _RETRY = Acknowledgement.SUCCESS, Acknowledgement.RETRY

Updated = tuple[ChangeResult, Versioned[S] | None]
"""What came of a change, and the aggregate after it, as far as that is known. A plain tuple, because there is one for
each change there is."""


def changed(updated: Sequence[Updated[S]]) -> list[Versioned[S]]:
    """The new states of the aggregates that were committed."""
    return [known for result, known in updated if result is _CHANGED and known is not None]


_UNDONE: Updated[Any] = (ChangeResult.CONFLICT, None)


class Updates:
    """The changes of one service."""

    def __init__(self, service: str, records: Records, *, clock: Clock, ids: IdSource) -> None:
        self.service = service
        self.records = records
        self.clock = clock
        self.ids = ids

    def envelopes(self, decision: Decision[Any], cause: Cause, now: datetime) -> list[Envelope]:
        """The events of a decision that is committed at `now`, all caused alike, with fresh ids."""
        time, again = decision.at or now, decision.again
        envelopes: list[Envelope] = []
        for event in decision.events:
            id = self.ids.new("event")
            envelopes.append(envelop(event, id=id, source=self.service, time=time, cause=cause, repeated=again))
        return envelopes

    async def update(self, changes: Sequence[Change[Any]]) -> list[Updated[Any]]:
        """Make these changes, each alone but all together, and say what came of each, in order.

        What a decision raises is raised here; those of the round that it was made in are not committed then.
        """
        work = Work(self, changes)
        await until_committed(self.records, work.draft, work.learn)
        return work.updated

    async def change(
        self,
        store: AggregateStore[S],
        id: str,
        decide: Callable[[S, datetime], Decision[S]],
        cause: Cause,
        beside: Callable[[S], Put] | None = None,
    ) -> S:
        """One aggregate as this change leaves it. Raises what the decision raises, NotFound, AnsweredBefore, Busy."""

        def decide_known(state: S | None, now: datetime) -> Decision[S]:
            if state is None:
                raise NotFound(store.kind.name, id)
            return decide(state, now)

        ((result, known),) = await self.update((Change(store, id, decide_known, cause, beside=beside),))
        if result is ChangeResult.ANSWERED:
            raise AnsweredBefore
        if known is None:
            raise Busy(f"{store.kind.name.capitalize()} {id!r} is being changed by too many requests at once.")
        state: S = known.state
        return state

    async def handle(
        self,
        store: AggregateStore[S],
        deliveries: Sequence[Delivery],
        handlers: Mapping[type[Event], Handler[S]],
        id_of: Callable[[Any], str],
        begins: Sequence[type[Event]] = (),
    ) -> tuple[list[Acknowledgement], list[Versioned[S]]]:
        """Handle events, each about one aggregate: an answer for each delivery, and the states that changed.

        `begins`: the events with which an aggregate begins, so that it is taken for new.
        """
        changes: list[Change[S]] = []
        for delivery in deliveries:
            event = delivery.event
            kind = type(event.data)
            decide = partial(handlers[kind], event)
            known = NEW if kind in begins else None
            changes.append(Change(store, id_of(event.data), decide, Cause.of(event), known))
        answers: list[Acknowledgement] = []
        changed: list[Versioned[S]] = []
        for result, known in await self.update(changes):
            # In a tuple: a set would ask each for its hash, which enums compute in Python.
            answers.append(_RETRY if result in _LATER else _SUCCESS)
            if result is _CHANGED and known is not None:
                changed.append(known)
        return answers, changed


class Work:
    """One call of `update`: which changes wait, and what came of the others.

    Each is decided on what is stored, so of two about one aggregate the second meets the first. Decided on the first
    one's outcome, it would stand though the first one fails, and overwrite what another wrote.
    """

    def __init__(self, of: Updates, changes: Sequence[Change[Any]]) -> None:
        self._of = of
        self._changes = changes
        self._waiting: Sequence[int] = range(len(changes))
        self._is_first = True
        self._tried: list[tuple[int, Versioned[Any]]] = []
        self.updated = [_UNDONE] * len(changes)

    async def draft(self) -> Sequence[Commit]:
        """Decide each that waits on what is stored now."""
        wanted: dict[AggregateStore[Any], dict[str, None]] = {}
        for i in self._waiting:
            change = self._changes[i]
            if change.known is None or not self._is_first:
                wanted.setdefault(change.store, {})[change.id] = None
        found: dict[AggregateStore[Any], dict[str, Versioned[Any]]] = {}
        for store, ids in wanted.items():
            found[store] = await store.load(self._of.records, ids)
        now = self._of.clock.now()
        commits: list[Commit] = []
        self._tried = []
        for i in self._waiting:
            change = self._changes[i]
            store = change.store
            known = change.known if self._is_first else None
            if known is None:
                known = found[store].get(change.id)
            before = known.state if known is not None else None
            try:
                decision = change.decide(before, now)
            except TooEarly:
                self.updated[i] = (ChangeResult.TOO_EARLY, known)
                continue
            if decision is None or (decision.state is before and not decision.events):
                self.updated[i] = (ChangeResult.UNCHANGED, known)  # now, or when it is asked again
                continue
            state, version, puts = decision.state, known.version if known is not None else 0, change.along
            if state is not before:
                puts = (store.put(state, version), *puts)
                version += 1
            if change.beside is not None:
                puts = (*puts, change.beside(state))
            events = change.earlier
            if decision.events:
                cause = decision.cause or change.cause or store.cause(state if before is None else before)
                events = [*events, *self._of.envelopes(decision, cause, now)]
            commits.append(Commit(store.partition(change.id), puts, events))
            self._tried.append((i, Versioned(state, version)))
        self._is_first = False
        return commits

    def learn(self, outcomes: Sequence[Outcome]) -> int:
        """Note the outcomes of the commits that were tried; returns how many met a conflict and wait to be done."""
        waiting: list[int] = []
        for (i, after), outcome in zip(self._tried, outcomes, strict=True):
            if isinstance(outcome, Committed):
                self.updated[i] = (_CHANGED, after)
            elif self._changes[i].beside is not None and self._changes[i].id not in outcome.ids:
                self.updated[i] = (ChangeResult.ANSWERED, None)
            else:
                waiting.append(i)
        self._waiting = waiting
        return len(waiting)

"""A small aggregate for tests of the machinery: a ledger that writes down notes, one event a note."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import msgspec
from tests.fakes import NOON

from cludale.kernel.decision import Decision
from cludale.kernel.events import Catalogue, Cause, Envelope, Event, Topic, envelop
from cludale.kernel.wire import Codec
from cludale.ports.bus import Delivery
from cludale.ports.records import Commit, Key, Kind, Outcome, Page, Query, Records, Stored
from cludale.runtime.aggregates import AggregateStore, TooEarly, Versioned


class Asked(Event, frozen=True, kw_only=True):
    """Somebody wants `note` written down. A note of `early` comes before its ledger, `never` is refused."""

    order_id: str
    note: str


class Written(Event, frozen=True, kw_only=True):
    """It was written down."""

    order_id: str
    note: str


class Ledger(msgspec.Struct, frozen=True):
    """What was written down, in order."""

    id: str
    notes: tuple[str, ...] = ()


CODEC = Codec(Catalogue([Topic("asks", "askers", (Asked,)), Topic("ledger-events", "ledgers", (Written,))]))
LEDGERS = AggregateStore(
    Kind("ledgers", "ledger", ("size",)),
    Ledger,
    identity=lambda ledger: ledger.id,
    index=lambda ledger: (len(ledger.notes),),
)


def write(event: Envelope, ledger: Ledger | None, now: datetime) -> Decision[Ledger] | None:
    """Write the note down; one that is empty or stands there already changes nothing."""
    asked: Asked = event.data
    if asked.note == "early" and ledger is None:
        raise TooEarly
    if asked.note == "forget":
        return None
    before = ledger or Ledger(asked.order_id)
    if not asked.note or asked.note in before.notes:
        return Decision(before) if ledger is not None else None
    return Decision(
        msgspec.structs.replace(before, notes=(*before.notes, asked.note)),
        (Written(order_id=asked.order_id, note=asked.note),),
    )


def asked(id: str, ledger: str, note: str) -> Delivery:
    """The delivery of an Asked event."""
    envelope = envelop(Asked(order_id=ledger, note=note), id=id, source="askers", time=NOON, cause=Cause())
    return Delivery(envelope, CODEC.encode(envelope))


class Meddled:
    """A store in which others write too: `meddle` runs once, before the next commit reaches the store."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.meddle: Callable[[], Awaitable[object]] | None = None
        self.always: Callable[[], Awaitable[object]] | None = None
        self.commits = 0
        self.reads = 0

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        self.reads += 1
        return await self._records.get(kind, keys)

    async def find(self, kind: Kind, query: Query) -> Page:
        return await self._records.find(kind, query)

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            await meddle()
        if self.always is not None:
            await self.always()
        self.commits += len(commits)
        return await self._records.commit(commits)


async def write_beside(store: Records, id: str, note: str) -> None:
    """Another replica writes."""
    found = await LEDGERS.load(store, (id,))
    known = found.get(id, Versioned(Ledger(id), 0))
    state = Ledger(id, (*known.state.notes, note))
    await store.commit([Commit(id, (LEDGERS.put(state, known.version),))])

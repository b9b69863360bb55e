"""Records every event once, in a chain of hashes, and answers questions about them. No HTTP; replay is in replay.py."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from cludale.kernel.refusals import NotFound
from cludale.ports.bus import Answer, Delivery
from cludale.ports.clock import Clock
from cludale.ports.records import Commit, Key, Page, Put, Records, VersionConflict
from cludale.services.audit import store
from cludale.services.audit.domain import Arrival, Broken, Head, Order, causes_first, follow, link, story
from cludale.services.audit.store import ENTRY, HEAD, HEAD_ID, NO_HEAD, PARTITION, Entry, Filter, Listed, StoredHead

CONFLICT_RETRIES = 8
"""How often a batch is chained anew on what another replica wrote, before it is left for a redelivery."""
STORY_LIMIT = 1_000
"""The most entries that one order's story tells; an order's life has bounds far below."""
VERIFY_PAGE = 500
"""Entries verified at a time: some 2 ms in which others wait for the interpreter."""

_log = logging.getLogger(__name__)


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What came of verifying the chain: how many entries hold, the hash of the last of them, and what breaks it."""

    ok: bool
    events: int
    head: str
    broken: Broken | None = None


class _Recent:
    """The ids recorded last: at least `limit` of them, at most twice as many and a batch."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._old: list[str] = []
        self._new: list[str] = []
        self.ids: set[str] = set()

    def add(self, ids: Sequence[str]) -> None:
        """Remember these, and forget the oldest when there are too many."""
        self._new += ids
        self.ids.update(ids)
        if len(self._new) >= self._limit:
            self.ids.difference_update(self._old)
            self.ids.update(self._new)  # one that was remembered a second time stays
            self._old, self._new = self._new, []


class Audit:
    """The audit log: `handle` hears all events, the rest answers.

    `patience` is how many deliveries an event waits for its cause; after that it is recorded without, and marked.
    It must be below the bus's delivery limit, so that waiting never loses an event.
    """

    def __init__(
        self,
        records: Records,
        clock: Clock,
        *,
        patience: int = 5,
        recent_limit: int = 32_768,
        commit_limit: int | None = None,
    ) -> None:
        """`commit_limit` is the most records that the store takes in one commit, if it has a limit."""
        self._records = records
        self._clock = clock
        self._patience = patience
        self._batch_limit = None if commit_limit is None else commit_limit - 1  # one is the head
        self._recent = _Recent(recent_limit)
        self._head: StoredHead | None = None
        """As we committed it last; None when another may have moved it."""
        self._one_at_a_time = asyncio.Lock()

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """Record each once, causes first; all in one commit, if the store takes that many at once.

        RETRY for those whose cause isn't there yet.
        """
        async with self._one_at_a_time:
            try:
                step = self._batch_limit or max(1, len(deliveries))
                parts = [deliveries[at : at + step] for at in range(0, len(deliveries), step)]
                return [answer for part in parts for answer in await self._record(part)]
            except BaseException:
                self._head = None  # whether it was written is for the store to say
                raise

    async def _record(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        patience = self._patience
        batch: list[Arrival] = [(each.event.id, each.event.causationid, each.attempt < patience) for each in deliveries]
        order = causes_first(batch, self._recent.ids.__contains__)
        for _ in range(CONFLICT_RETRIES):
            if order.waiting or order.orphans:
                order = await self._look_up_causes(batch)
            if not order.ready:
                break
            conflict = await self._commit([(deliveries[at], at in order.orphans) for at in order.ready])
            if conflict is None:
                self._recent.add([batch[at][0] for at in order.ready])
                break
            await self._know([batch[at][0] for at in order.ready])
            order = causes_first(batch, self._recent.ids.__contains__)
        else:
            return [Answer.RETRY] * len(deliveries)
        answers = [Answer.SUCCESS] * len(deliveries)
        for at in order.waiting:
            answers[at] = Answer.RETRY
        return answers

    async def _look_up_causes(self, batch: Sequence[Arrival]) -> Order:
        """The order of the batch, knowing what the store has and we had forgotten."""
        await self._know([cause for _, cause, _ in batch if cause is not None])
        return causes_first(batch, self._recent.ids.__contains__)

    async def _know(self, ids: Sequence[str]) -> None:
        unknown = [Key(PARTITION, event) for event in dict.fromkeys(ids) if event not in self._recent.ids]
        if unknown:
            self._recent.add(list(await self._records.get(ENTRY, unknown)))

    async def _commit(self, entries: Sequence[tuple[Delivery, bool]]) -> VersionConflict | None:
        """Put the entries at the end of the chain; a conflict wrote nothing."""
        current = self._head or await self._load_head()
        sequence, end = current.head.sequence, current.head.hash
        now = self._clock.now()
        puts: list[Put] = []
        for delivery, is_orphan in entries:
            event, body = delivery.event, delivery.body.strip()
            sequence += 1
            end = link(end, body)
            puts.append(store.put_entry(Entry(sequence, now, end, msgspec.Raw(body), is_orphan), event))
            if is_orphan:
                _log.warning("event %s recorded without its cause %s", event.id, event.causationid)
        head = Head(sequence, end)
        puts.append(store.put_head(head, current.version))
        (outcome,) = await self._records.commit([Commit(PARTITION, puts)])
        if isinstance(outcome, VersionConflict):
            self._head = None
            return outcome
        self._head = StoredHead(head, current.version + 1)
        return None

    async def _load_head(self) -> StoredHead:
        found = await self._records.get(HEAD, [Key(PARTITION, HEAD_ID)])
        return store.head_of(found[HEAD_ID]) if found else NO_HEAD

    async def events(self, wanted: Filter, *, after: str | None = None, limit: int = 50) -> tuple[list[Listed], Page]:
        """A page of entries, as shown, and the page itself. Raises UnusableCursor."""
        page = await self._records.find(ENTRY, wanted.query(after=after, limit=limit))
        return [store.listed(stored) for stored in page.items], page

    async def story(self, order_id: str) -> list[Listed]:
        """All that happened to an order: causes before effects, then by time. Raises NotFound."""
        page = await self._records.find(ENTRY, store.of_order(order_id, STORY_LIMIT))
        if not page.items:
            raise NotFound("order", order_id)
        entries = [store.listed(stored) for stored in page.items]
        return [entries[at] for at in story([store.told(entry) for entry in entries])]

    async def verify(self, progress: Callable[[int, int], None] | None = None) -> Verdict:
        """Walk the chain as it is now, a page at a time; tells `progress` how many of how many entries are verified."""
        until = (await self._load_head()).head
        head, broken, after = Head(), None, None
        while broken is None and head.sequence < until.sequence:
            page = await self._records.find(ENTRY, store.walk(after, VERIFY_PAGE))
            after = page.next
            head, broken = await asyncio.to_thread(_follow, head, page, until)
            if progress is not None:
                progress(head.sequence, until.sequence)
        if broken is None:
            broken = await self._past_the_head()
        return Verdict(ok=broken is None, events=head.sequence, head=head.hash, broken=broken)

    async def _past_the_head(self) -> Broken | None:
        """Is there an entry that the head does not know of?"""
        last = await self._records.find(ENTRY, store.LAST)
        head = (await self._load_head()).head  # read after `last`, so it can't be behind by what was just recorded
        if not last.items:
            return None
        try:
            sequence, _ = store.numbered_event(last.items[0])
        except msgspec.MsgspecError as error:
            return Broken(head.sequence + 1, f"unreadable: {error}")
        return Broken(head.sequence + 1, f"past the head stands entry {sequence}") if sequence > head.sequence else None


def _follow(head: Head, page: Page, until: Head) -> tuple[Head, Broken | None]:
    """Follow the chain over a page of entries, as far as `until`."""
    links, unreadable = store.links_of(page.items)
    reached, broken = follow(head, [each for each in links if each.sequence <= until.sequence])
    if broken is not None:
        return reached, broken
    if unreadable is not None and reached.sequence < until.sequence:
        return reached, Broken(reached.sequence + 1, f"unreadable: {unreadable}")
    if page.next is None and reached.sequence < until.sequence:
        return reached, Broken(reached.sequence + 1, f"missing: the head says that there are {until.sequence} entries")
    if reached.sequence == until.sequence and reached.hash != until.hash:
        return reached, Broken(reached.sequence, "the head has another hash than the last entry")
    return reached, None

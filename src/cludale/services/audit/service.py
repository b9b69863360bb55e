"""Records every event once, in a chain of hashes, and answers questions about them. No HTTP; replay is in replay.py."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from cludale.kernel.events import Event
from cludale.kernel.refusals import NotFound
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.clock import Clock
from cludale.ports.programme import ConcertDetails
from cludale.ports.records import Commit, Key, Page, Put, Records, VersionConflict
from cludale.runtime.aggregates import CONFLICT_RETRIES
from cludale.runtime.recent import Recent
from cludale.services.audit import store
from cludale.services.audit.domain import (
    GENESIS,
    Arrival,
    Broken,
    Early,
    Group,
    Noted,
    Order,
    Room,
    causes_first,
    following,
    is_full,
    keep,
    let_go,
    link,
    noted_head,
    sealed,
    story,
)
from cludale.services.audit.segments import seals
from cludale.services.audit.store import (
    ENTRY,
    HEAD,
    NO_HEAD,
    WAITING,
    Arrived,
    Entry,
    Filter,
    Listed,
    StoredHead,
    StoredWaiting,
    Waiting,
)
from cludale.services.audit.walking import Walk, read, step, written

STORY_LIMIT = 1_000
"""The most entries that one order's story tells; an order's life has bounds far below."""
PART_PAGES = 40
"""Pages of entries that are verified in one part of a check: 20,000 entries, a tenth of a second."""

WAITING_LIMIT = 50_000
"""How many events are kept until their causes come. More are left to the bus, and in the end recorded late."""
WAITING_LIMIT_EACH = 32
"""How many of them wait for one cause."""
WAITING_PAGE = 200
LOOKED_AT_AGAIN = timedelta(seconds=5)
"""What has waited so long is looked at by every sweep: another replica may have recorded the cause and gone."""

SKEW = timedelta(hours=1)
"""How far ahead a publisher's clock may be. An event that happened later than this after a segment was sealed is not
looked for in it."""

_log = logging.getLogger(__name__)


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What came of verifying the chain: how many entries hold, the hash of the last of them, and what breaks it."""

    ok: bool
    events: int
    head: str
    broken: Broken | None = None
    late: int = 0
    """How many of the entries are marked: recorded without their cause, when the time to wait for it was over."""
    waiting: int = 0
    """How many events are not in the log yet, because their causes aren't."""
    noted: Noted | None = None
    """Where the head stands that was asked for; `ok` is false where it isn't in the chain."""


class Chain(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The end of the chain as it is now; whether it holds, a check says."""

    events: int
    head: str
    waiting: int
    """How many events are not in the log yet, because their causes aren't."""
    segment: int
    """Which segment of the log is written to, counted from 0."""
    segment_since: datetime | None
    """When the segment before it was sealed; None: it is the first."""


class Checked(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A part of a check."""

    ok: bool
    """So far everything holds."""
    done: int
    """How many entries hold, from the first."""
    of: int
    """How many there are now."""
    head: str
    """The hash of the last that holds."""
    late: int
    waiting: int
    broken: Broken | None
    next: str | None
    """What goes on with the check, as `after`; None: it is over."""


class _Keeping(NamedTuple):
    """Records of what waits, how many events more these have than before, and which of the batch are kept."""

    puts: Sequence[Put]
    more: int
    positions: frozenset[int]


_NOTHING_KEPT = _Keeping((), 0, frozenset())


class Audit:
    """The audit log: `handle` hears all events, the rest answers.

    An event that comes before its cause is left to the bus until its delivery number `patience`. From then on it is
    kept here, at most `wait_seconds`, and recorded behind its cause; when that time is over it is recorded without,
    and marked late. Where there is no room to keep it, that happens at its delivery number `attempts`, which must be
    below the bus's delivery limit, so that waiting never loses an event.
    """

    def __init__(
        self,
        records: Records,
        clock: Clock,
        *,
        patience: int = 2,
        attempts: int = 10,
        wait_seconds: float = 300.0,
        waiting_limit: int = WAITING_LIMIT,
        recent_limit: int = 32_768,
        commit_limit: int | None = None,
        segment_entries: int = 4_000_000,
    ) -> None:
        """`commit_limit` is the most records that the store takes in one commit, if it has a limit; after
        `segment_entries` the chain goes on in another partition."""
        self._segment_entries = segment_entries
        self._segment = 0
        """The last segment of which we have seen the head."""
        self._records = records
        self._clock = clock
        self._room = Room(waiting_limit, WAITING_LIMIT_EACH, patience, attempts)
        self._wait = timedelta(seconds=wait_seconds)
        self._is_unsure = True
        """Something may wait whose cause is in the log: an earlier run, or a commit without an answer, left it."""
        self._batch_limit = None if commit_limit is None else commit_limit - 1  # one is the head
        self._recent: Recent[str, None] = Recent(recent_limit)
        """The ids that were recorded last."""
        self._head: StoredHead | None = None
        """As we committed it last; None when another may have moved it."""
        self._one_at_a_time = asyncio.Lock()

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        """Record each once, causes first; all in one commit, if the store takes that many at once.

        RETRY for those whose cause isn't there yet.
        """
        async with self._one_at_a_time:
            try:
                step = self._batch_limit or max(1, len(deliveries))
                answers: list[Acknowledgement] = []
                for at in range(0, len(deliveries), step):
                    answers += await self._record(deliveries[at : at + step])
            except BaseException:
                self._forget()
                raise
            return answers

    def _forget(self) -> None:
        """What was written is for the store to say."""
        self._head = None
        self._is_unsure = True

    async def sweep(self) -> int:
        """Record what has waited long enough for its cause, or whose cause has come; returns how much that was."""
        async with self._one_at_a_time:
            try:
                return await self._sweep()
            except BaseException:
                self._forget()
                raise

    async def _sweep(self) -> int:
        self._head = await self._load_head()
        if not self._head.head.waiting:
            self._is_unsure = False
            return 0
        was_unsure, self._is_unsure = self._is_unsure, False
        now = self._clock.now()
        until = now + (2 * self._wait if was_unsure else max(self._wait - LOOKED_AT_AGAIN, timedelta()))
        after, done = None, 0
        for _ in range(self._room.limit // WAITING_PAGE + 1):
            page = await self._records.find(WAITING, store.due(until, after, WAITING_PAGE))
            done += await self._let_go([each.id for each in page.items])
            after = page.next
            # Who has waited longest comes first. Of what is not due, a page is enough for one sweep.
            if after is None or not (was_unsure or store.is_due(page.items[-1], now)):
                break
        return done

    async def _record(self, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        batch: list[Arrival] = [(each.event.id, each.event.causationid, True) for each in deliveries]
        await self._know_sealed(deliveries)
        order = causes_first(batch, self._recent.__contains__)
        for _ in range(CONFLICT_RETRIES):
            kept = _NOTHING_KEPT
            if order.waiting:
                order, kept = await self._early(deliveries)
            if not order.ready and not kept.puts:
                break
            entries = [
                (store.arrived(deliveries[at].event, deliveries[at].body.strip()), at in order.orphans)
                for at in order.ready
            ]
            conflict = await self._commit(entries, kept.puts, kept.more)
            if conflict is None:
                break
            # Whoever was faster may have recorded any of these, and filled and sealed the segment with them.
            await self._know([event for event, _, _ in batch])
            order = causes_first(batch, self._recent.__contains__)
        else:
            return [Acknowledgement.RETRY] * len(deliveries)
        answers = [Acknowledgement.SUCCESS] * len(deliveries)
        for at in order.waiting:
            if at not in kept.positions:
                answers[at] = Acknowledgement.RETRY
        if self._head is None or self._head.head.waiting:
            await self._let_go([event for event, _, _ in batch if event in self._recent])
        return answers

    async def _early(self, deliveries: Sequence[Delivery]) -> tuple[Order, "_Keeping"]:
        """The order of a batch in which some came before their causes, by what the store knows, and who is kept.

        The head is read first: whatever another replica records after that makes the commit fail.
        """
        self._head = self._head or await self._load_head()
        batch: list[Arrival] = [(each.event.id, each.event.causationid, True) for each in deliveries]
        order = await self._look_up_causes(batch)
        early = [
            Early(at, deliveries[at].event.id, deliveries[at].event.causationid or "", deliveries[at].attempt)
            for at in order.waiting
        ]
        groups = await self._groups([each.cause for each in early])
        ids = {cause: group.waiting.ids for cause, group in groups.items()}
        # A full segment is sealed when nothing waits in it, so nothing more may begin to.
        is_over = is_full(self._head.head, limit=self._segment_entries)
        room = self._room._replace(limit=0) if is_over else self._room
        plan = keep(early, room, held=self._head.head.waiting, groups=ids)
        if plan.overdue:
            order = causes_first(
                [(event, cause, at not in plan.overdue) for at, (event, cause, _) in enumerate(batch)],
                self._recent.__contains__,
            )
        still = frozenset(order.waiting)
        due_at = self._clock.now() + self._wait
        puts: list[Put] = []
        count = 0
        for cause, positions in plan.kept.items():
            new = [deliveries[at] for at in positions if at in still]
            if new:
                group, version = groups.get(cause, store.NO_WAITING)
                events = (*group.events, *(msgspec.Raw(each.body.strip()) for each in new))
                ids_now = (*group.ids, *(each.event.id for each in new))
                puts.append(store.put_waiting(cause, Waiting(ids_now, events, group.due_at or due_at), version))
                count += len(new)
        positions_kept = plan.again.union(*plan.kept.values())
        return order, _Keeping(puts, count, positions_kept)

    async def _groups(self, causes: Sequence[str]) -> dict[str, StoredWaiting]:
        """The records of what waits for these, where there are any: in the open segment, or nowhere."""
        self._head = self._head or await self._load_head()
        partition = store.partition_of(self._head.head.segment)
        keys = [Key(partition, cause) for cause in dict.fromkeys(causes)]
        found = await self._records.get(WAITING, keys) if keys else {}
        return {cause: store.waiting_of(stored) for cause, stored in found.items()}

    async def _let_go(self, causes: Sequence[str]) -> int:
        """Record what waits for these, and what waits for that in turn; what waits on for its cause stays.

        Where it fails, or the process ends, a later sweep does it.
        """
        queue = deque(dict.fromkeys(causes))
        done = conflicts = 0
        while queue:
            self._head = self._head or await self._load_head()
            if not self._head.head.waiting:
                break
            asked = [queue.popleft() for _ in range(min(len(queue), WAITING_PAGE))]
            groups = {cause: each for cause, each in (await self._groups(asked)).items() if each.waiting.ids}
            await self._know([*groups, *(id for each in groups.values() for id in each.waiting.ids)])
            puts: list[Put] = []
            entries: list[tuple[Arrived, bool]] = []
            emptied = 0
            now = self._clock.now()
            going = let_go(
                [Group(cause, each.waiting.due_at or now, each.waiting.ids) for cause, each in groups.items()],
                self._recent.__contains__,
                now=now,
            )
            for cause, is_late in going.items():
                group, version = groups[cause]
                if puts and self._batch_limit and len(puts) + len(entries) + 1 + len(group.ids) > self._batch_limit:
                    queue.append(cause)
                    continue
                puts.append(store.put_waiting(cause, Waiting(), version))
                emptied += len(group.ids)
                entries += [
                    (store.kept(bytes(body)), is_late)
                    for id, body in zip(group.ids, group.events, strict=True)
                    if id not in self._recent
                ]
            if not puts:
                continue
            if await self._commit(entries, puts, -emptied) is None:
                queue.extend(event.id for event, _ in entries)
                done += emptied
                continue
            conflicts += 1
            if conflicts == CONFLICT_RETRIES:
                self._is_unsure = True
                break
            queue.extend(asked)
        return done

    async def _look_up_causes(self, batch: Sequence[Arrival]) -> Order:
        """The order of the batch, knowing what the store has and we had forgotten."""
        causes = [cause for _, cause, _ in batch if cause is not None]
        await self._know(causes)
        if not all(cause in self._recent for cause in causes):
            await self._know([event for event, _, _ in batch])
        return causes_first(batch, self._recent.__contains__)

    async def _know_sealed(self, deliveries: Sequence[Delivery]) -> None:
        """Look up those that may be in a sealed segment: there a commit meets no conflict with them."""
        self._head = self._head or await self._load_head()
        since = self._head.head.since
        if since is not None:
            await self._know([each.event.id for each in deliveries if each.event.time <= since + SKEW])

    async def _know(self, ids: Sequence[str]) -> None:
        """Look up, in all segments, those that we have forgotten or never heard of."""
        unknown = [event for event in dict.fromkeys(ids) if event not in self._recent]
        if unknown:
            self._head = self._head or await self._load_head()
            partitions = [store.partition_of(each) for each in range(self._head.head.segment + 1)]
            keys = [Key(partition, event) for partition in partitions for event in unknown]
            self._recent.remember(dict.fromkeys(await self._records.get(ENTRY, keys)))

    async def _commit(
        self, entries: Sequence[tuple[Arrived, bool]], others: Sequence[Put] = (), waiting: int = 0
    ) -> VersionConflict | None:
        """Put the entries at the end of the chain, and remember that they are there; a conflict wrote nothing.

        `others` are records of what waits, `waiting` by how much that becomes more. Every commit writes the head, so
        none overlooks another: no cause is recorded unseen while what waits for it is put away.
        """
        current = self._head or await self._load_head()
        sequence, end = current.head.sequence, current.head.hash
        now = self._clock.now()
        puts = list(others)
        recorded: dict[str, None] = {}
        for event, is_late in entries:
            recorded[event.id] = None
            sequence += 1
            end = link(end, event.body, late=is_late)
            puts.append(store.put_entry(Entry(sequence, now, end, msgspec.Raw(event.body), is_late), event))
            if is_late:
                _log.warning("event %s is recorded late: its cause has not come", event.id)
        head = msgspec.structs.replace(
            current.head, sequence=sequence, hash=end, waiting=current.head.waiting + waiting
        )
        head = sealed(head, limit=self._segment_entries, now=now)
        puts.append(store.put_head(head, current.version))
        (outcome,) = await self._records.commit([Commit(store.partition_of(head.segment), puts)])
        if isinstance(outcome, VersionConflict):
            self._head = None
            return outcome
        self._recent.remember(recorded)
        if head.sealed_at is not None:
            _log.info("segment %d of the audit log is sealed after entry %d", head.segment, head.sequence)
            self._head = StoredHead(following(head), 0)
        else:
            self._head = StoredHead(head, current.version + 1)
        return None

    async def _load_head(self) -> StoredHead:
        """The head of the open segment, which may not be written yet."""
        head = NO_HEAD
        segment = self._segment
        while (stored := await self._head_of(segment)) is not None:
            self._segment = segment
            if stored.head.sealed_at is None:
                return stored
            head = StoredHead(following(stored.head), 0)
            segment += 1
        return head

    async def _head_of(self, segment: int) -> StoredHead | None:
        id = store.head_id(segment)
        found = await self._records.get(HEAD, [Key(store.partition_of(segment), id)])
        return store.head_of(found[id]) if found else None

    async def events(
        self, wanted: Filter, *, after: str | None = None, limit: int = 50, descending: bool = False
    ) -> tuple[list[Listed], Page]:
        """A page of entries, as shown, and the page itself. Raises UnusableCursor."""
        page = await self._records.find(ENTRY, wanted.query(after=after, limit=limit, descending=descending))
        return [store.listed(stored) for stored in page.items], page

    async def of(self, concert_ids: Sequence[str]) -> Mapping[str, ConcertDetails]:
        """Those of these concerts that the log tells of (a Programme): it asks nobody else whose a concert is."""
        found: dict[str, ConcertDetails] = {}
        for id in concert_ids:
            page = await self._records.find(ENTRY, store.scheduled(id))
            if page.items:
                found[id] = store.concert_told(page.items[0])
        return found

    async def story(self, order_id: str) -> list[Listed]:
        """All that happened to an order: causes before effects, then by time. Raises NotFound."""
        page = await self._records.find(ENTRY, store.of_order(order_id, STORY_LIMIT))
        if not page.items:
            raise NotFound("order", order_id)
        entries = [store.listed(stored) for stored in page.items]
        return [entries[at] for at in story([store.told(entry) for entry in entries])]

    async def verify(self, progress: Callable[[int, int], None] | None = None, *, noted: str | None = None) -> Verdict:
        """Walk the chain as it is now, a page at a time; tells `progress` how many of how many entries are verified.

        `noted` is a head that this log is said to have had: `Verdict.noted` says where it stands. Raises Invalid.
        """
        sought = None if noted is None else noted_head(noted)
        at = 0 if sought == GENESIS else None
        until = (await self._load_head()).head
        ends = await seals(self._records, until)
        walk = Walk()
        while walk.broken is None and walk.head.sequence < until.sequence:
            walk = await step(self._records, walk, until, ends)
            if sought is not None:
                at = next((each.sequence for each in walk.good if each.hash == sought), at)
            if progress is not None:
                progress(walk.head.sequence, until.sequence)
        head, broken = walk.head, walk.broken
        if broken is None:
            broken = await self._past_the_head()
        return Verdict(
            ok=broken is None and (sought is None or at is not None),
            events=head.sequence,
            head=head.hash,
            broken=broken,
            late=walk.late,
            waiting=until.waiting,
            noted=None if sought is None else Noted(sought, at),
        )

    async def chain(self) -> Chain:
        """Where the chain ends now."""
        head = (await self._load_head()).head
        return Chain(head.sequence, head.hash, head.waiting, head.segment, head.since)

    async def check(self, place: str | None) -> Checked:
        """One part of a check, from its beginning or from `place` on, against the chain as it is now.

        Raises UnusableCursor.
        """
        walk = read(place)
        until = (await self._load_head()).head
        ends = await seals(self._records, until)
        for _ in range(PART_PAGES):
            if walk.broken is not None or walk.head.sequence >= until.sequence:
                break
            walk = await step(self._records, walk, until, ends)
        is_over = walk.broken is not None or walk.head.sequence >= until.sequence
        broken = await self._past_the_head() if is_over and walk.broken is None else walk.broken
        return Checked(
            ok=broken is None,
            done=walk.head.sequence,
            of=max(until.sequence, walk.head.sequence),
            head=walk.head.hash,
            late=walk.late,
            waiting=until.waiting,
            broken=broken,
            next=None if is_over else written(walk),
        )

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


HANDLERS: Mapping[type[Event], Callable[..., Any]] = {Event: Audit.handle}
"""It hears every event that there is, and all are recorded alike."""

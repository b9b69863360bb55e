"""`CosmosStore`: Records and Outbox over one container. Here is the order of things: queues, batches, and what fails.

Commits of one partition go one batch after another, in the order in which they came; all that wait become one batch
if they fit. Partitions don't wait for each other. A batch that is refused is taken apart, so that each commit fails
alone; one that got no answer is sent again, the same, and its documents tell whether it was written the first time.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential

from cludale.adapters.cosmos import documents
from cludale.adapters.cosmos.account import Account, AccountLimits, Refused
from cludale.adapters.cosmos.documents import Document, KnownDocument
from cludale.adapters.cosmos.layout import BATCH_OPERATIONS, Container
from cludale.adapters.cosmos.leases import LEASE_SECONDS, Leases
from cludale.adapters.cosmos.outbox import OutboxItems
from cludale.adapters.cosmos.planning import Batch, Create, Encoded, Prepared, Replace, Writing, prepare
from cludale.adapters.cosmos.queries import Question, Sql
from cludale.adapters.cosmos.stamps import Stamps, from_text
from cludale.adapters.cosmos.transport import NoAnswer
from cludale.kernel.events import Envelope
from cludale.kernel.wire import Codec
from cludale.ports.outbox import Listener, Outgoing
from cludale.ports.records import (
    COMMITTED,
    Commit,
    Key,
    Kind,
    Outcome,
    Page,
    Query,
    Stored,
    StoreUnavailable,
    VersionConflict,
)
from cludale.runtime.batching import BatchingQueue
from cludale.runtime.readiness import Pulse
from cludale.runtime.recent import Recent

_log = logging.getLogger(__name__)

QUEUE_LIMIT = 20_000
"""Commits that may wait; what comes on top is refused."""
KNOWN_LIMIT = 50_000
"""Records whose ETags are remembered."""
POINT_READS = 3
"""Up to this many documents of one partition are read one by one; more are read by a query."""
IDS_A_QUERY = 100
QUERIES_AT_ONCE = 16
"""Of one look-up in one partition: a large one must neither take all the room that others wait for, nor wait for itself
until its last queries have no time left.
"""
ALONE_TRIES = 5
"""How often a commit that others keep getting in the way of is tried."""
UNANSWERED_TRIES = 3
"""How often a batch that gets no answer is sent."""
UNANSWERED_WAIT_SECONDS = 0.2

_BY_ID = "SELECT * FROM c WHERE c.pk = @pk AND ARRAY_CONTAINS(@ids, c.id)"


class CosmosStore:
    """Records and Outbox in one container."""

    def __init__(
        self,
        endpoint: str,
        credential: str | AsyncTokenCredential,
        codec: Codec,
        container: Container,
        *,
        database: str,
        has_outbox: bool = True,
        may_create: bool | None = None,
        limits: AccountLimits | None = None,
        lease_seconds: float = LEASE_SECONDS,
        microseconds: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        """The store in `container`; nothing is opened before `start`. Call on the event loop.

        `credential` is the account's key or an identity, which is closed with the store. `has_outbox` says that
        what is committed here has events, `may_create` whether a missing container is made: without it, if the
        credential is the account's key; `microseconds` is the wall clock.
        """
        self._may_create = isinstance(credential, str) if may_create is None else may_create
        self._account = Account(endpoint, credential, database, container, limits or AccountLimits())
        self._codec = codec
        self._replica = secrets.token_hex(6)
        self._stamps = Stamps(secrets.randbits(16), microseconds)
        self.pulse = Pulse()
        self._leases = Leases(self._account, self._replica, lease_seconds=lease_seconds, pulse=self.pulse)
        self._has_outbox = has_outbox
        self._outbox = OutboxItems(self._account)
        self._known: Recent[tuple[str, str], KnownDocument] = Recent(KNOWN_LIMIT)
        self._commits: BatchingQueue[str, Prepared, Outcome | StoreUnavailable] = BatchingQueue(
            self._write_all, of="commits", batch_limit=10 * BATCH_OPERATIONS, waiting_limit=QUEUE_LIMIT
        )
        self._is_closed = False

    async def start(self) -> None:
        """Find the container, which is made if that is allowed and it isn't there.

        Raises ContainerMissing, StoreUnavailable.
        """
        await self._account.prepare(may_create=self._may_create)
        if self._has_outbox:
            await self._leases.start()

    # -- reading ------------------------------------------------------------------------------------------------

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """Those of the records that exist, by id."""
        wanted: dict[str, list[str]] = {}
        for partition, id in dict.fromkeys(keys):
            wanted.setdefault(partition, []).append(documents.record_id(kind, id))
        found = await asyncio.gather(*(self._read(partition, ids) for partition, ids in wanted.items()))
        records: dict[str, Stored] = {}
        for partition, there in zip(wanted, found, strict=True):
            for document in there.values():
                self._learn(partition, document)
                stored = documents.stored(document)
                records[stored.id] = stored
        return records

    async def _read(self, partition: str, ids: Sequence[str]) -> dict[str, Document]:
        """Those of the documents that are there, by id."""
        if len(ids) <= POINT_READS:
            read = await asyncio.gather(*(self._account.read(partition, id) for id in ids))
            return {document["id"]: document for document in read if document is not None}
        chunks = [ids[at : at + IDS_A_QUERY] for at in range(0, len(ids), IDS_A_QUERY)]
        room = asyncio.Semaphore(QUERIES_AT_ONCE)

        async def asked(chunk: Sequence[str]) -> list[Document]:
            async with room:
                return await self._account.query(partition, _BY_ID, {"pk": partition, "ids": list(chunk)})

        pages = await asyncio.gather(*map(asked, chunks))
        return {document["id"]: document for page in pages for document in page}

    async def find(self, kind: Kind, query: Query) -> Page:
        """A page of the records that match. Raises UnusableCursor; ValueError for a field that is not indexed."""
        question = Question(kind, query)
        wanted = query.limit + 1
        found: list[Document] = []
        if question.has_valued_part:
            found = await self._part(question, question.valued_part(wanted), wanted, query.partition)
        if question.has_valueless_part and len(found) < wanted:
            room = wanted - len(found)
            found += await self._part(question, question.valueless_part(room), room, query.partition)
        page = found[: query.limit]
        for document in page:
            self._learn(document["pk"], document)
        items = [documents.stored(document) for document in page]
        return Page(items, question.past(page[-1]) if len(found) > query.limit else None)

    async def _part(self, question: Question, sql: Sql, limit: int, partition: str | None) -> list[Document]:
        if partition is not None:
            found = await self._account.query(partition, *sql)
        else:
            found = await self._account.query_everywhere(*sql)
        return question.in_order(found, limit)

    def _learn(self, partition: str, document: Mapping[str, Any]) -> None:
        self._remember((partition, document["id"]), documents.known(document))

    def _remember(self, place: tuple[str, str], known: KnownDocument) -> None:
        """Keep what is known of a record, unless something newer is."""
        before = self._known.get(place)
        if before is not None and before.version > known.version:
            return
        self._stamps.seen(from_text(known.tx))
        self._known.remember({place: known})

    # -- committing ---------------------------------------------------------------------------------------------

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        """Each commit's outcome, in order; durable where it is Committed.

        Raises StoreUnavailable (of what this call was to write, each commit was written or not), CommitTooLarge and
        ValueError (nothing was). Later commits of one call to one partition see earlier ones.
        """
        prepared = [prepare(commit, self._encode) for commit in commits]
        by_partition: dict[str, list[int]] = {}
        outcomes: list[Outcome] = [COMMITTED] * len(prepared)
        for at, each in enumerate(prepared):
            if each.commit.puts or each.events:
                by_partition.setdefault(each.commit.partition, []).append(at)
        submitted = [
            self._commits.submit(partition, [prepared[at] for at in places])
            for partition, places in by_partition.items()
        ]
        written = await asyncio.gather(*submitted, return_exceptions=True)
        for places, results in zip(by_partition.values(), written, strict=True):
            if isinstance(results, BaseException):
                raise results
            for at, outcome in zip(places, results, strict=True):
                if isinstance(outcome, StoreUnavailable):
                    raise outcome
                outcomes[at] = outcome
        return outcomes

    def _encode(self, event: Envelope) -> Encoded:
        return self._codec.catalogue.topic_of(event.type).name, self._codec.encode(event)

    async def _write_all(self, partition: str, prepared: Sequence[Prepared]) -> Sequence[Outcome | StoreUnavailable]:
        """Write these in as few batches as they fit into."""
        outcomes: list[Outcome | StoreUnavailable] = []
        most = len(prepared)
        try:
            while left := prepared[len(outcomes) :]:
                batch = Batch(partition)
                size = 0
                while size < min(most, len(left)) and batch.add(left[size]):
                    size += 1
                most = len(prepared)
                if not size:  # it contradicts itself
                    outcomes.append(await self._alone(partition, left[0], is_sure=True))
                elif (refused_at := await self._write(batch)) is None:
                    outcomes += [COMMITTED] * size
                elif size == 1:
                    outcomes.append(await self._alone(partition, left[0], is_sure=False))
                else:
                    most = max(1, refused_at)  # those before the one that was refused; then it comes first, alone
        except StoreUnavailable as away:
            self.pulse.failed()
            if not outcomes:
                raise
            outcomes += [away] * (len(prepared) - len(outcomes))  # what was written before stands
        return outcomes

    async def _write(self, batch: Batch) -> int | None:
        """Write a batch; None: it is written. Else which of its commits was refused, or has to be looked at."""
        known = await self._bases(batch)
        for at, id in _in_order(batch):
            version = batch.bases[id]
            held = known.get(id)
            if (held.version if held else 0) != version:
                return at
        writing = batch.write(known, self._stamps, self._replica)
        return await self._send(writing)

    async def _bases(self, batch: Batch) -> dict[str, KnownDocument]:
        """What is known of the records that the batch writes over; what isn't known well enough is read."""
        partition = batch.partition
        known: dict[str, KnownDocument] = {}
        unknown: list[str] = []
        for id, version in batch.bases.items():
            held = self._known.get((partition, id))
            if held is not None:
                known[id] = held
            if version and (held is None or held.version < version):
                unknown.append(id)
        if unknown:
            for id, document in (await self._read(partition, unknown)).items():
                self._learn(partition, document)
                known[id] = self._known[partition, id]
        return known

    async def _send(self, writing: Writing) -> int | None:
        """Send a batch until it is answered. Raises StoreUnavailable when it isn't, or when it can't be told."""
        partition = writing.partition
        unanswered = 0
        while True:
            try:
                etags = await self._account.write(partition, writing.operations)
            except NoAnswer:
                unanswered += 1
                if unanswered >= UNANSWERED_TRIES:
                    raise
                await asyncio.sleep(UNANSWERED_WAIT_SECONDS * unanswered)
                continue
            except Refused as refused:
                if unanswered:
                    written = await self._was_written(writing)
                    if written:
                        break
                    if written is None:
                        raise StoreUnavailable("a commit got no answer, and what came of it can't be told") from refused
                return writing.owners[refused.index]
            self._learn_written(writing, etags)
            self.pulse.worked()
            break
        if writing.entries:
            self._outbox.tell(partition, writing.entries)
        return None

    async def _was_written(self, writing: Writing) -> bool | None:
        ids = [operation.document["id"] for operation in writing.operations if isinstance(operation, (Create, Replace))]
        there = await self._read(writing.partition, ids)
        for document in there.values():
            if "version" in document:
                self._learn(writing.partition, document)
        return writing.was_written(there)

    def _learn_written(self, writing: Writing, etags: Sequence[str]) -> None:
        for operation, etag in zip(writing.operations, etags, strict=True):
            if isinstance(operation, (Create, Replace)) and "version" in operation.document:
                self._learn(writing.partition, {**operation.document, "_etag": etag})

    async def _alone(self, partition: str, prepared: Prepared, *, is_sure: bool) -> Outcome:
        """The outcome of a commit that does not go through just so; `is_sure` if it never can."""
        for _ in range(ALONE_TRIES):
            outcome = await self._judge(partition, prepared.commit)
            if outcome is not COMMITTED or is_sure:
                return outcome
            batch = Batch(partition)
            if batch.add(prepared) and await self._write(batch) is None:
                return COMMITTED
        raise StoreUnavailable(f"{partition!r} is being written to by too many requests at once")

    async def _judge(self, partition: str, commit: Commit) -> Outcome:
        """What is there now, held against what the commit expects."""
        puts = {documents.record_id(put.kind, put.id): put for put in commit.puts}
        there = await self._read(partition, list(puts))
        for id in puts:
            if id in there:
                self._learn(partition, there[id])
        within: dict[str, int] = {}
        conflicts = set()
        for put in commit.puts:
            id = documents.record_id(put.kind, put.id)
            held = within.get(id, there[id]["version"] if id in there else 0)
            if held != put.expected:
                conflicts.add(put.id)
            within[id] = put.expected + 1
        return VersionConflict(frozenset(conflicts)) if conflicts else COMMITTED

    async def probe(self) -> None:
        """Renew our lease, which is a write. Raises StoreUnavailable."""
        await self._leases.renew()

    # -- the outbox ---------------------------------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        """Have `listener` told of each group of events as soon as it is durable, on the event loop.

        Those of one partition come in order.
        """
        self._outbox.listen(listener)

    async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
        """Up to `limit` entries past position `after`, in order: those that are this replica's to publish."""
        return await self._outbox.pending(self._leases.held, after, limit)

    def delivered(self, positions: Sequence[int]) -> None:
        """Forget these soon; a crash before that publishes them again."""
        self._outbox.delivered(positions)

    # -- the rest -----------------------------------------------------------------------------------------------

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        account = self._account
        return {
            **{f'cludale_cosmos_request_units_total{{operation="{name}"}}': n for name, n in account.charge.items()},
            **{f'cludale_cosmos_requests_total{{operation="{name}"}}': n for name, n in account.requests.items()},
            "cludale_cosmos_throttled_total": account.throttled,
            "cludale_cosmos_crowded_out_total": account.crowded_out,
            "cludale_cosmos_commits_waiting": self._commits.waiting,
            "cludale_cosmos_leases_held": len(self._leases.held),
        }

    async def close(self) -> None:
        """Write what waits, hand over what is not published, and close the connections."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._commits.close()
        if self._has_outbox:
            has_events = True
            try:
                has_events = await self._outbox.close() or bool(await self.pending(0, 1))
            except StoreUnavailable as away:
                _log.warning("what was published may be published again: %s", away)
            await self._leases.stop(has_events=has_events)
        await self._account.close()


def _in_order(batch: Batch) -> list[tuple[int, str]]:
    """The records of a batch, by the commit that first touches them."""
    return sorted((batch.owner_of(id), id) for id in batch.bases)

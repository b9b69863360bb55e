"""Commits of one partition as one transactional batch: its operations, and to which commit each belongs. No I/O.

A batch is hopeful: it holds if every record is at the version that the first commit to touch it expects. The service
says whether that is so, by ETags and ids.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from cludale.adapters.cosmos import documents
from cludale.adapters.cosmos.documents import Document, KnownDocument
from cludale.adapters.cosmos.layout import BATCH_BYTES, BATCH_OPERATIONS, COMMIT_OPERATIONS
from cludale.adapters.cosmos.stamps import Stamps, as_text, from_text
from cludale.kernel.events import Envelope
from cludale.ports.outbox import Outgoing
from cludale.ports.records import Commit, CommitTooLarge, Put

_FRAME_BYTES = 400
"""What a document has beside its body, about, and its operation around it."""

Encoded = tuple[str, bytes]
"""Topic and body of an event."""
Encode = Callable[[Envelope], Encoded]


class Create(NamedTuple):
    """Write a document that must not be there yet."""

    document: Document


class Replace(NamedTuple):
    """Write over a document if it is still the one with this ETag."""

    document: Document
    etag: str


class Delete(NamedTuple):
    """Take a document away."""

    id: str


Operation = Create | Replace | Delete


class Prepared(NamedTuple):
    """A commit that was looked over: it can be stored, and this is about how large it is."""

    commit: Commit
    events: Sequence[Encoded]
    size: int


def prepare(commit: Commit, encode: Encode) -> Prepared:
    """Look a commit over. Raises CommitTooLarge, and ValueError or OverflowError for what can't be stored."""
    documents.check_partition(commit.partition)
    events = [encode(event) for event in commit.events]
    size = _FRAME_BYTES if events else 0
    size += sum(_size(body) + 100 for _, body in events)
    for put in commit.puts:
        documents.record_id(put.kind, put.id)
        documents.fields(put)
        size += _size(put.body) + _FRAME_BYTES
    if len(commit.puts) > COMMIT_OPERATIONS:
        raise CommitTooLarge(f"{len(commit.puts)} records in one commit, {COMMIT_OPERATIONS} are the most")
    if size > BATCH_BYTES:
        raise CommitTooLarge(f"about {size} bytes in one commit, {BATCH_BYTES} are the most")
    return Prepared(commit, events, size)


def _size(body: bytes) -> int:
    # As it is sent: a string in JSON, all of it ASCII, so that `é` takes six bytes.
    return len(json.dumps(body.decode(errors="replace")))


class Batch:
    """Commits of one partition that are to become true together."""

    def __init__(self, partition: str) -> None:
        self.partition = partition
        self.commits: list[Prepared] = []
        self.bases: dict[str, int] = {}
        """The version that each record written over must have, by its document's id."""
        self._puts: dict[str, Put] = {}
        self._owners: dict[str, int] = {}
        """Which commit first touched a document, by its id."""
        self._events: list[Encoded] = []
        self._size = 0

    def add(self, prepared: Prepared) -> bool:
        """Take a commit in, if it follows from those before it and there is room. It is left out whole otherwise."""
        commit = prepared.commit
        fresh: dict[str, Put] = {}
        bases: dict[str, int] = {}
        for put in commit.puts:
            id = documents.record_id(put.kind, put.id)
            held = fresh.get(id) or self._puts.get(id)
            if held is None:
                bases[id] = put.expected
            elif held.expected + 1 != put.expected:
                return False
            fresh[id] = put
        if self.commits:
            operations = len({*self._puts, *fresh}) + 1
            if operations > BATCH_OPERATIONS or self._size + prepared.size > BATCH_BYTES:
                return False
        at = len(self.commits)
        self.commits.append(prepared)
        self._puts |= fresh
        self.bases |= bases
        for id in bases:
            self._owners[id] = at
        self._events += prepared.events
        self._size += prepared.size
        return True

    def owner_of(self, id: str) -> int:
        """Which commit first touches this document."""
        return self._owners[id]

    def write(self, known: Mapping[str, KnownDocument], stamps: Stamps, owner: str) -> "Writing":
        """The operations, over records that are `known` at the versions of `bases`."""
        for id, version in self.bases.items():
            if version:
                stamps.seen(from_text(known[id].tx))
        came = stamps.take(len(self.bases) + len(self._events) + 1)
        tx = as_text(came[-1])
        operations: list[Operation] = []
        owners: list[int] = []
        for id, put in self._puts.items():
            base = self.bases[id]
            if base:
                document = documents.record(self.partition, put, came=known[id].came, tx=tx)
                operations.append(Replace(document, known[id].etag))
            else:
                document = documents.record(self.partition, put, came=as_text(came[len(owners)]), tx=tx)
                operations.append(Create(document))
            owners.append(self._owners[id])
        first = len(self.bases)
        entries = [
            Outgoing(position, topic, body)
            for position, (topic, body) in zip(came[first:-1], self._events, strict=True)
        ]
        if entries:
            operations.append(Create(documents.outbox(self.partition, owner, entries, tx=tx)))
            owners.append(0)
        return Writing(self.partition, tx, operations, owners, entries)


class Writing(NamedTuple):
    """A batch ready to be sent, as often as it takes: the same each time."""

    partition: str
    tx: str
    operations: Sequence[Operation]
    owners: Sequence[int]
    """Which commit each operation belongs to; of several, the first."""
    entries: Sequence[Outgoing]

    def was_written(self, there: Mapping[str, Mapping[str, Any]]) -> bool | None:
        """Was it, going by what is there of its documents now? None: that can't be told any more.

        Records are never taken away, so one that it would have made and that isn't there says no.
        """
        answer: bool | None = None
        for operation in self.operations:
            if isinstance(operation, Delete):
                continue
            document = operation.document
            found = there.get(document["id"])
            if found is not None and found["tx"] == self.tx:
                return True
            if "events" in document:
                continue  # an outbox item may have been published and taken away
            if found is None or found.get("version", 1) < document.get("version", 1):
                answer = False
            elif isinstance(operation, Create) and found.get("version", 1) == 1:
                answer = False  # another made it, and that is how it was made
        return answer

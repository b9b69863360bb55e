"""Records: versioned documents that commit together with the events they caused.

A service keeps its state as records of a few kinds. `commit` takes any number of commits; each is
atomic within its partition and succeeds or fails alone, and all that succeed are durable when it returns.
An adapter is proven by the suite in `tests/product/contracts/`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from cludale.kernel.events import Envelope

IndexValue = str | int | None


class Kind(NamedTuple):
    """A kind of record: `Kind("orders", "order", ("concertId", "status"))`. Only `indexed` fields can be searched.

    A field whose value is None takes no room in its index, so an index on `dueAt` holds just what is due some day.
    """

    service: str
    name: str
    indexed: tuple[str, ...] = ()
    sorted_by: tuple[str, ...] = ()
    """Those of them by which queries sort, or ask for a range."""
    may_lack: bool = False
    """Stores of earlier releases have no such records: whoever only reads one finds none."""
    is_append_only: bool = False
    """Records are written once and never changed, and have a value in each of `sorted_by`. Many may share a row."""


class Key(NamedTuple):
    """Where a record is: its partition (what commits together) and its id, unique within kind and partition.

    Some stores find a record by its id alone. None may be counted on for that, nor for keeping an id unique beyond
    its partition.
    """

    partition: str
    id: str


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A record as it was last committed. `version` counts its commits from 1."""

    id: str
    version: int
    body: bytes


class Put(msgspec.Struct, frozen=True, gc=False):
    """Write `body` if the record is still at version `expected`; 0 means that there must be none."""

    kind: Kind
    id: str
    body: bytes
    expected: int
    index: tuple[IndexValue, ...] = ()
    """The values of `kind.indexed`, in that order."""


class Commit(msgspec.Struct, frozen=True, gc=False):
    """What becomes true together, or not at all."""

    partition: str
    puts: Sequence[Put] = ()
    events: Sequence[Envelope] = ()


class Committed(NamedTuple):
    """It is durable."""


class VersionConflict(NamedTuple):
    """Nothing was written: these records are not at the expected version any more."""

    ids: frozenset[str]


Outcome = Committed | VersionConflict
COMMITTED = Committed()


class Range(NamedTuple):
    """`since <= field < until`; either end may be open."""

    field: str
    since: IndexValue = None
    until: IndexValue = None


class Query(NamedTuple):
    """A question over indexed fields, answered a page at a time in a stable order."""

    equal: Mapping[str, IndexValue] = {}
    contains: Mapping[str, str] = {}
    """Text within the field; the stored value is folded by the service, so fold the needle alike."""
    within: Sequence[Range] = ()
    order_by: str | None = None
    """An indexed field; none means the order in which the records came. Without a value there: last, either way."""
    descending: bool = False
    after: str | None = None
    """The `next` of the page before."""
    limit: int = 50
    partition: str | None = None
    """Where all matches are, if whoever asks knows that: a store with partitions then looks nowhere else."""


class Page(NamedTuple):
    """`next` continues; None at the end."""

    items: Sequence[Stored]
    next: str | None


class UnusableCursor(ValueError):
    """`after` is not a cursor that this query gave."""


class CommitTooLarge(ValueError):
    """One commit has more in it than the store can make true at once; nothing was written."""


class StoreUnavailable(Exception):
    """The store can't be reached or is locked by another; nothing was written. Try again later."""


class SchemaRefused(Exception):
    """What is there is another program's, another version's, or does not fit the declared kinds."""


class Rewritable(Protocol):
    """A store in files of this machine, which keep what was written over until they are written anew."""

    @property
    def size(self) -> int:
        """In bytes."""
        ...

    async def rewrite(self, tell: Callable[[int], None]) -> None:
        """Write all of it anew; nobody commits meanwhile. `tell`: how many bytes are written so far.

        Raises StoreUnavailable.
        """
        ...


class Records(Protocol):
    """A store of records. Reads see everything committed before they began."""

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """Those of the records that exist, by id."""
        ...

    async def find(self, kind: Kind, query: Query) -> Page:
        """A page of the records that match. Raises UnusableCursor."""
        ...

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        """Each commit's outcome, in order; durable where it is Committed. Raises StoreUnavailable, CommitTooLarge.

        Later commits of one call see earlier ones.
        """
        ...

"""Aggregates as records: how one kind of aggregate is stored, read and found. What changes them is in `updates.py`."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec

from cludale.kernel.events import Cause
from cludale.kernel.refusals import NotFound
from cludale.ports.records import IndexValue, Key, Kind, Page, Put, Query, Records

S = TypeVar("S")

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
        partition: Callable[[str], str] = str,
        cause: Callable[[S], Cause] = lambda _: Cause(),
    ) -> None:
        """`cause`: what causes the next change of an aggregate, where whoever changes it does not say."""
        self.kind = kind
        self.decode: Callable[[bytes], S] = msgspec.json.Decoder(type_).decode
        """The state that a stored body holds."""
        self.id_of = identity
        self._index = index
        self.partition = partition
        self.cause = cause

    async def load(
        self, records: Records, ids: Iterable[str], *, partition: str | None = None
    ) -> dict[str, Versioned[S]]:
        """Those of the aggregates that exist, by id; all of one `partition`, if it does not follow from the id."""
        of = self.partition
        keys = [Key(partition, id) for id in ids] if partition is not None else [Key(of(id), id) for id in ids]
        found = await records.get(self.kind, keys)
        decode = self.decode
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

    def put(self, state: S, expected: int) -> Put:
        """Write `state` over version `expected`."""
        return Put(self.kind, self.id_of(state), _encode(state), expected, self._index(state))

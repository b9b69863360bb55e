"""Where a whole check reads from: the stores and the ledger as they stand at one instant, whatever keeps them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from cludale_proof.checker.documents import Body, Kind
from cludale_proof.checker.ledger import LedgerLine


class Row(NamedTuple):
    """A record as it stands in its store."""

    id: str
    version: int
    body: Body


class Snapshot(Protocol):
    """All stores at one instant. Everything may be read more than once."""

    def rows(self, kind: Kind) -> Iterable[Row]:
        """The records of a kind, in any order; the entries of the audit log in the order in which they came."""
        ...

    def outbox(self) -> Iterable[Body]:
        """The committed events that were not delivered to everyone yet."""
        ...

    def ledger(self) -> Iterable[LedgerLine] | None:
        """What the payment provider knows; None if that can't be read. It may be newer than the rest."""
        ...

    def committed_events(self) -> int | None:
        """How many events were committed since the beginning; None if nobody counts."""
        ...

    def size(self) -> int:
        """About how many rows there are to read."""
        ...


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """A world in memory: records by kind (`orders/order`), events as JSON or parsed JSON."""

    records: Mapping[str, Sequence[Row]]
    undelivered: Sequence[Body] = ()
    lines: Sequence[LedgerLine] | None = field(default=())
    committed: int | None = None

    def rows(self, kind: Kind) -> Iterable[Row]:
        """The records of a kind."""
        return self.records.get(kind, ())

    def outbox(self) -> Iterable[Body]:
        """The undelivered events."""
        return self.undelivered

    def ledger(self) -> Iterable[LedgerLine] | None:
        """The ledger's lines."""
        return self.lines

    def committed_events(self) -> int | None:
        """As was given."""
        return self.committed

    def size(self) -> int:
        """All rows."""
        return sum(map(len, self.records.values())) + len(self.undelivered) + len(self.lines or ())

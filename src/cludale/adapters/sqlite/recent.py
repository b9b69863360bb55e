"""What was written last, kept in memory: a record is mostly read again a few milliseconds after it was written.

Only what is durable comes in here, and only from this process, which is the only one that writes.
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter

from cludale.ports.records import Key, Kind, Stored, VersionConflict
from cludale.runtime.planning import Row, Rows

_NONE: Mapping[str, Row] = {}
_body_of = itemgetter(2)


class Recent:
    """Two generations of records: when the younger has grown to half of `limit_bytes`, the older is forgotten.

    That is a dict update a batch, where keeping records in the order of their use would cost each of them. A kind
    is kept from when it is asked for until a generation has passed without that: events, say, are hardly ever.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes // 2
        self._size = 0
        self._asked: set[Kind] = set()
        self._young: dict[Kind, dict[str, Row]] = {}
        self._old: dict[Kind, dict[str, Row]] = {}

    def add(self, rows: Mapping[Kind, Rows]) -> None:
        """Remember what was committed."""
        if self._size > self._limit:
            self._old = {kind: held for kind, held in self._young.items() if kind in self._asked}
            self._young = {}
            self._asked = set()
            self._size = 0
        for kind, of_kind in rows.items():
            # A kind with an older generation goes on in the younger: what is older must not be found in its place.
            if kind in self._asked or kind in self._old or kind in self._young:
                held = self._young.get(kind)
                if held is None:
                    held = self._young[kind] = {}
                for written in (of_kind.fresh, of_kind.changed):
                    held.update(written)
                    self._size += sum(map(len, map(_body_of, written.values())))

    def forget(self, conflict: VersionConflict) -> None:
        """Have these read from the file the next time, in case that someone else wrote to it after all."""
        for generation in (self._young, self._old):
            for of_kind in generation.values():
                for key in conflict.ids:
                    of_kind.pop(key, None)

    def get(self, kind: Kind, keys: Sequence[Key]) -> tuple[dict[str, Stored], list[str]]:
        """The records that are here, by id, and the ids of those that are not."""
        self._asked.add(kind)
        young = self._young.get(kind, _NONE)
        old = self._old.get(kind, _NONE)
        found: dict[str, Stored] = {}
        missing: list[str] = []
        for _, key in keys:
            row = young.get(key) or old.get(key)
            if row is None:
                missing.append(key)
            else:
                found[key] = Stored(row[0], row[1], row[2])  # id, version, body, index
        return found, missing

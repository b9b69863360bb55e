"""Records in two stores: some kinds are kept in a store of their own, all others with the events."""

from collections.abc import Collection, Mapping, Sequence

from cludale.ports.records import Commit, Key, Kind, Outcome, Page, Query, Records, Stored


class SplitRecords:
    """`own` keeps records of these kinds, `rest` all others, and events."""

    def __init__(self, rest: Records, own: Records, kinds: Collection[Kind]) -> None:
        self._rest = rest
        self._own = own
        self._kinds = frozenset(kinds)

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """Those of the records that exist, by id."""
        return await self._store_of(kind).get(kind, keys)

    async def find(self, kind: Kind, query: Query) -> Page:
        """A page of the records that match. Raises UnusableCursor."""
        return await self._store_of(kind).find(kind, query)

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        """Each commit's outcome, in order. One call is for one of the stores: raises ValueError if it is for both.

        Two stores have no transaction in common; so what raises StoreUnavailable has written nothing.
        """
        own = {put.kind in self._kinds for commit in commits for put in commit.puts}
        if own != {True}:
            if True in own:
                raise ValueError(f"records of two stores in one call: {_kinds(commits)}")
            return await self._rest.commit(commits)
        if any(commit.events for commit in commits):
            raise ValueError(f"events are kept with the others, not with {_kinds(commits)}")
        return await self._own.commit(commits)

    def _store_of(self, kind: Kind) -> Records:
        return self._own if kind in self._kinds else self._rest


def _kinds(commits: Sequence[Commit]) -> str:
    return ", ".join(sorted({put.kind.name for commit in commits for put in commit.puts}))

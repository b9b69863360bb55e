"""A process's connection to its store, with faults: slow, away, commits whose answer is lost, crashes around them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from cludale.ports.outbox import Outgoing
from cludale.ports.records import (
    Commit,
    Committed,
    Key,
    Kind,
    Outcome,
    Page,
    Query,
    Stored,
    StoreUnavailable,
)
from cludale_proof.simulator.faults import Chaos, Fault, Situation
from cludale_proof.simulator.memory import Disk, MemoryStore

LEASE_SECONDS, RENEW_SECONDS = 3.0, 0.75
"""How long a replica that says nothing keeps its place, and how often it says something."""


class Mortal(Protocol):
    """A process that can be killed in the middle of what it does."""

    @property
    def name(self) -> str:
        """What the trace calls it."""
        ...

    async def crash(self) -> None:
        """Die here. Never returns."""
        ...

    def lose_store(self) -> None:
        """The store's file failed under a write; only a restart can tell what it holds."""
        ...


class FaultyStore(MemoryStore):
    """`is_file` says that nothing but this process has the store open, as with SQLite: an unknown outcome ends it.

    Else replicas share it, as with PostgreSQL: each publishes what it committed itself, and what one that is gone
    has left is taken over by another.
    """

    def __init__(
        self, disk: Disk, process: Mortal, chaos: Chaos, *, is_file: bool, quiet: frozenset[Kind] = frozenset()
    ) -> None:
        """`quiet`: kinds of which this run has no records, so that looking for them is no chance for a fault."""
        super().__init__(disk)
        self._quiet = quiet
        self._process = process
        self._who = process.name
        self._chaos = chaos
        self._is_file = is_file
        self._failed = False
        self._tending: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take a place among the replicas, and with it what those left that said good-bye."""
        if self._is_file:
            return
        loop = asyncio.get_running_loop()
        self.owner = self.disk.enter(loop.time() + LEASE_SECONDS)
        self.disk.take_over(self.owner, {owner for owner, left in self.disk.gone(loop.time()).items() if left})
        self._tending = loop.create_task(self._tend())

    async def _tend(self) -> None:
        """Keep our place, and take over what replicas left that are gone at two looks."""
        loop = asyncio.get_running_loop()
        suspects: set[int] = set()
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            if self._chaos.is_out(self.disk.name):
                continue
            self.disk.renew(self.owner, loop.time() + LEASE_SECONDS)
            found = self.disk.gone(loop.time())
            gone = {owner for owner, left in found.items() if left or owner in suspects}
            suspects = set(found)
            entries = self.disk.take_over(self.owner, gone) if gone else []
            if entries:
                self._chaos.meets(Situation.TAKEN_OVER)
                self._chaos.trace.say(self._who, f"takes over {len(entries)} events of replicas that are gone")
                self._listeners.tell(entries)

    def die(self) -> None:
        """Keep our place no more and say no good-bye, as when the process is killed."""
        if self._tending is not None:
            self._tending.cancel()

    async def close(self) -> None:
        """Write what waits and let go."""
        self.die()
        await super().close()
        if not self._is_file:
            self.disk.leave(self.owner)

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """Those of the records that exist, by id."""
        await self._read_begins()
        found = await super().get(kind, keys)
        await self._chaos.lag()
        return found

    async def find(self, kind: Kind, query: Query) -> Page:
        """A page of the records that match."""
        if kind in self._quiet:
            return await super().find(kind, query)
        await self._read_begins()
        page = await super().find(kind, query)
        await self._chaos.lag()
        return page

    async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
        """Up to `limit` entries past position `after`, in order."""
        await self._read_begins()
        return await super().pending(after, limit)

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        """Each commit's outcome, in order."""
        chaos, who = self._chaos, self._who
        await chaos.lag()
        if chaos.strikes(Fault.STORE_SLOW, who):
            await chaos.long_lag()
        self._check_reachable()
        if chaos.strikes(Fault.CRASH_BEFORE_COMMIT, who):
            await self._process.crash()
        if chaos.strikes(Fault.COMMIT_AWAY, who):
            raise StoreUnavailable("the store is away")
        if len(commits) > 1 and not self._is_file and chaos.strikes(Fault.COMMIT_IN_PART, who):
            cut = 1 + int(chaos.between(0, len(commits) - 1))
            return await self._written_unknown(commits[:cut])
        if chaos.strikes(Fault.COMMIT_UNKNOWN, who):
            return await self._written_unknown(commits)
        outcomes = self.write(commits)
        self._count(outcomes)
        if chaos.strikes(Fault.CRASH_AFTER_COMMIT, who):
            await self._process.crash()
        await chaos.lag()
        return outcomes

    async def _written_unknown(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        """Written, but nobody is told: neither the caller nor the listeners."""
        self.disk.apply(commits, self.owner)
        await self._chaos.lag()
        if self._is_file:
            self._failed = True
            self._process.lose_store()
        raise StoreUnavailable("no answer to a commit")

    async def _read_begins(self) -> None:
        await self._chaos.lag()
        self._check_reachable()
        if self._chaos.strikes(Fault.READ_AWAY, self._who):
            raise StoreUnavailable("the store is away")

    def _check_reachable(self) -> None:
        if self._failed or self._chaos.is_out(self.disk.name):
            raise StoreUnavailable("the store is away")

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if not isinstance(outcome, Committed):
                self._chaos.meets(Situation.CONFLICT)

"""The command queue, and commits that meet a conflict or get no answer."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import Busy
from cludale.ports.bus import EventBus
from cludale.ports.outbox import Outgoing
from cludale.ports.records import Commit, Committed, Key, Outcome, Put
from cludale.runtime import aggregates
from cludale.runtime.aggregates import Change, ChangeResult, Updated
from cludale.services.concerts import domain as concerts_domain
from cludale.services.concerts import sections
from cludale.services.concerts.evolution import Seating
from cludale_proof.planted.planting import bug, swap
from cludale_proof.planted.spoilt import relay_over
from cludale_proof.simulator.memory import MemoryStore
from cludale_proof.simulator.storage import FaultyStore


@bug("command queue: after a conflict, what was decided before is written all the same")
def _(stack: ExitStack) -> None:
    async def wrong(self: Any, key: Any, asked: Any) -> Any:
        batch = sections.CommandBatch(key, asked, self)
        await batch.draft()
        for _ in range(aggregates.CONFLICT_RETRIES):
            if batch.commit is None:
                return batch.results
            (outcome,) = await self.updates.records.commit((batch.commit,))
            if isinstance(outcome, Committed):
                return batch.results
            section, reservations = await self.load(key, [put.id for put in batch.commit.puts])
            versions = {key.partition: section.version} | {id: each.version for id, each in reservations.items()}
            puts = [replace(put, expected=versions.get(put.id, 0)) for put in batch.commit.puts]
            batch.commit = replace(batch.commit, puts=puts)
        raise Busy("too many conflicts")

    swap(stack, sections.Sections, "run_commands", wrong)


@bug("command queue: a conflict is taken for success")
def _(stack: ExitStack) -> None:
    async def wrong(self: Any, key: Any, asked: Any) -> Any:
        batch = sections.CommandBatch(key, asked, self)
        commits = await batch.draft()
        if commits:
            await self.updates.records.commit(commits)
        return batch.results

    swap(stack, sections.Sections, "run_commands", wrong)


@bug("command queue: answers before the commit is durable")
def _(stack: ExitStack) -> None:
    right = sections.Sections.run_commands

    async def wrong(self: Any, key: Any, asked: Any) -> Any:
        batch = sections.CommandBatch(key, asked, self)
        await batch.draft()
        task = asyncio.get_running_loop().create_task(right(self, key, asked))
        task.add_done_callback(lambda done: done.exception())
        return batch.results

    swap(stack, sections.Sections, "run_commands", wrong)


@bug("command queue: every command is decided on the section as it was loaded")
def _(stack: ExitStack) -> None:
    right = sections.CommandBatch.fold

    def wrong(self: Any, section: Any, loaded: Any, now: datetime, hall: Any = None) -> None:
        def stale(seating: Seating, command: Any, at: datetime) -> Decision[Seating]:
            return decide(Seating(section.state, seating.reservations, hall), command, at)

        decide = concerts_domain.decide
        with ExitStack() as meanwhile:
            swap(meanwhile, concerts_domain, "decide", stale)
            right(self, section, loaded, now, hall)

    swap(stack, sections.CommandBatch, "fold", wrong)


@bug("commit: an event that met a conflict is answered as handled", theme="changes of mind")
def _(stack: ExitStack) -> None:
    right = aggregates.Updates.handle

    async def wrong(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await right(_TriesOnce(self), *args, **kwargs)  # type: ignore[arg-type]

    swap(stack, aggregates.Updates, "handle", wrong)


class _TriesOnce:
    """A service's changes, each tried once: what meets a conflict counts as if there had been nothing to change."""

    def __init__(self, of: aggregates.Updates) -> None:
        self.right = of

    async def update(self, changes: Sequence[Change[Any]]) -> list[Updated[Any]]:
        work = aggregates.Work(self.right, changes)
        commits = await work.draft()
        if commits:
            work.learn(await self.right.records.commit(commits))
        nothing = (ChangeResult.UNCHANGED, None)
        return [nothing if each[0] is ChangeResult.CONFLICT else each for each in work.updated]


@bug("commit: the store does not look at versions")
def _(stack: ExitStack) -> None:
    right = FaultyStore.commit

    async def wrong(self: Any, commits: Sequence[Commit]) -> Sequence[Outcome]:
        def current(put: Put, partition: str) -> Put:
            stored = self.disk.get(put.kind, [Key(partition, put.id)]).get(put.id)
            return replace(put, expected=stored.version if stored else 0)

        return await right(
            self, [replace(each, puts=[current(put, each.partition) for put in each.puts]) for each in commits]
        )

    swap(stack, FaultyStore, "commit", wrong)


@bug("commit: events are published before they are committed")
def _(stack: ExitStack) -> None:
    right = FaultyStore.commit

    listen = MemoryStore.listen
    listening: set[MemoryStore] = set()
    buses: dict[Any, EventBus] = {}

    def listened(self: MemoryStore, listener: Any) -> None:
        listening.add(self)
        listen(self, listener)

    def bus_of(outbox: Any, bus: EventBus) -> EventBus:
        buses[outbox] = bus
        return bus

    async def wrong(self: Any, commits: Sequence[Commit]) -> Sequence[Outcome]:
        codec = self.disk.codec
        early = [
            Outgoing(1 + position, codec.catalogue.topic_of(event.type).name, codec.encode(event))
            for position, event in enumerate(event for commit in commits for event in commit.events)
        ]
        if early and self in listening:
            await buses[self].publish(early)
        return await right(self, commits)

    relay_over(stack, bus=bus_of)
    swap(stack, MemoryStore, "listen", listened)
    swap(stack, FaultyStore, "commit", wrong)


@bug("commit: state and events are two commits")
def _(stack: ExitStack) -> None:
    right = FaultyStore.commit

    async def wrong(self: Any, commits: Sequence[Commit]) -> Sequence[Outcome]:
        outcomes = await right(self, [replace(commit, events=()) for commit in commits])
        told = [
            Commit(commit.partition, events=commit.events)
            for commit, outcome in zip(commits, outcomes, strict=True)
            if isinstance(outcome, Committed) and commit.events
        ]
        if told:
            await right(self, told)
        return outcomes

    swap(stack, FaultyStore, "commit", wrong)

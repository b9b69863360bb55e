"""The segments of the audit log, seen from outside: which there are, and an entry looked up in whichever has it.

The chain is one; it goes on from partition to partition, for a partition may have a bound. A segment that is full is
sealed by the commit that fills it: its head then says so and is written no more, and the next begins from it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from cludale.ports.records import Key, Records, Stored
from cludale.services.audit import store
from cludale.services.audit.domain import Head, Link
from cludale.services.audit.store import ENTRY, HEAD


async def heads(records: Records) -> AsyncIterator[Head]:
    """The heads of the segments, from the first; the last may be open."""
    segment = 0
    while True:
        id = store.head_id(segment)
        found = await records.get(HEAD, [Key(store.partition_of(segment), id)])
        if not found:
            return
        head = store.head_of(found[id]).head
        yield head
        if head.sealed_at is None:
            return
        segment += 1


async def entries_by_id(records: Records, ids: Sequence[str]) -> Mapping[str, Stored]:
    """Those of the entries that there are, by the event's id."""
    partitions = [store.partition_of(head.segment) async for head in heads(records)] or [store.partition_of(0)]
    return await records.get(ENTRY, [Key(partition, id) for id in dict.fromkeys(ids) for partition in partitions])


class Seal(NamedTuple):
    """Where a segment ends, and with which hash; None: somebody took its head away, or opened it again."""

    sequence: int
    hash: str | None


async def seals(records: Records, until: Head) -> list[Seal]:
    """Those of the segments before the open one, whose head is `until`."""
    found: list[Seal] = []
    reached = 0
    for segment in range(until.segment):
        id = store.head_id(segment)
        stored = await records.get(HEAD, [Key(store.partition_of(segment), id)])
        head = store.head_of(stored[id]).head if stored else None
        reached = reached if head is None else head.sequence
        found.append(Seal(reached, None if head is None or head.sealed_at is None else head.hash))
    return found


def broken_seal(links: Sequence[Link], seals: Sequence[Seal]) -> int | None:
    """At which of these entries, which follow one another, a segment ends that was not sealed so."""
    hashes = {each.sequence: each.hash for each in links}
    return next((at for at, hash in seals if at in hashes and hashes[at] != hash), None)


def segment_after(sequence: int, seals: Sequence[Seal]) -> int:
    """The segment that has the entry after this one."""
    return sum(seal.sequence <= sequence for seal in seals)

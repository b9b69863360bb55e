"""Two stores that are one to a service."""

import pytest
from tests.product.contracts.samples import CODEC, KINDS, NOTE, ORDER, key, noted, of, order

from cludale.ports.records import COMMITTED, Put, Query
from cludale.runtime.split import SplitRecords
from cludale_proof.simulator.memory import Disk, MemoryStore


@pytest.fixture
def rest() -> MemoryStore:
    return MemoryStore(Disk(KINDS, CODEC))


@pytest.fixture
def own() -> MemoryStore:
    return MemoryStore(Disk(KINDS, CODEC))


@pytest.fixture
def split(rest: MemoryStore, own: MemoryStore) -> SplitRecords:
    return SplitRecords(rest, own, (NOTE,))


def note(id: str) -> Put:
    return Put(NOTE, id, b"{}", 0)


async def test_each_kind_is_kept_in_its_store_and_found_there(
    split: SplitRecords, rest: MemoryStore, own: MemoryStore
) -> None:
    assert list(await split.commit([of(order("a"), events=(noted("e"),))])) == [COMMITTED]
    assert list(await split.commit([of(note("n")), of(note("m"))])) == [COMMITTED, COMMITTED]
    assert list(await split.get(ORDER, [key("a")])) == list(await rest.get(ORDER, [key("a")])) == ["a"]
    assert list(await split.get(NOTE, [key("n")])) == list(await own.get(NOTE, [key("n")])) == ["n"]
    assert [each.id for each in (await split.find(NOTE, Query())).items] == ["n", "m"]
    assert await rest.get(NOTE, [key("n")]) == await own.get(ORDER, [key("a")]) == {}


async def test_what_two_stores_can_not_commit_together_is_refused(
    split: SplitRecords, rest: MemoryStore, own: MemoryStore
) -> None:
    for together in ([of(order("a"), note("n"))], [of(order("a")), of(note("n"))]):
        with pytest.raises(ValueError, match="records of two stores in one call: note, order"):
            await split.commit(together)
    with pytest.raises(ValueError, match="events are kept with the others, not with note"):
        await split.commit([of(note("n"), events=(noted("e"),))])
    assert await rest.get(ORDER, [key("a")]) == await own.get(NOTE, [key("n")]) == {}


async def test_events_alone_are_kept_with_the_rest(split: SplitRecords, rest: MemoryStore) -> None:
    assert list(await split.commit([of(events=(noted("e"),))])) == [COMMITTED]
    assert len(await rest.pending(0, 10)) == 1

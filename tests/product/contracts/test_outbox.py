"""What every adapter of `Outbox` promises."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from tests.product.contracts.samples import CODEC, NOON, ORDER, PaymentNoted, Place, Store, key, noted, of, order

from cludale.kernel.events import Cause, envelop
from cludale.ports.outbox import Outgoing
from cludale.ports.records import COMMITTED


def event_ids(entries: Sequence[Outgoing]) -> list[str]:
    return [CODEC.decode(entry.body).id for entry in entries]


async def shrunk(store: Store, *, to: int) -> None:
    """Return when so many entries are left in the outbox; it has a second for that."""
    for _ in range(100):
        if len(await store.pending(0, 100)) == to:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{await store.pending(0, 100)} are still pending after a second")


async def test_committed_events_are_pending_in_the_order_of_commits(store: Store) -> None:
    await store.commit([of(events=(noted("e1"), noted("e2"))), of(order("a")), of(events=(noted("e3"),))])
    await store.commit([of(events=(noted("e4"),))])
    pending = await store.pending(0, 10)
    assert event_ids(pending) == ["e1", "e2", "e3", "e4"]
    positions = [entry.position for entry in pending]
    assert positions == sorted(set(positions))


async def test_an_entry_is_the_event_on_the_wire_and_its_topic(store: Store) -> None:
    first = noted("e1", "Zoë's „Nacht“ 🎫")
    second = envelop(PaymentNoted(order_id="o"), id="e2", source="payments", time=NOON, cause=Cause("e1", "00-1"))
    await store.commit([of(events=(first, second))])
    pending = await store.pending(0, 10)
    assert [CODEC.decode(entry.body) for entry in pending] == [first, second]
    assert [entry.topic for entry in pending] == ["order-events", "payment-events"]


async def test_events_of_a_failed_commit_are_not_pending_and_leave_no_trace(store: Store) -> None:
    await store.commit([of(order("a"))])
    await store.commit([of(events=(noted("e1"),)), of(order("a"), events=(noted("e2"),)), of(events=(noted("e3"),))])
    assert event_ids(await store.pending(0, 10)) == ["e1", "e3"]


async def test_pending_comes_in_pages(store: Store) -> None:
    await store.commit([of(events=tuple(noted(f"e{n}") for n in range(25)))])
    seen: list[str] = []
    after = 0
    while page := await store.pending(after, 10):
        assert len(page) <= 10
        seen += event_ids(page)
        after = page[-1].position
    assert seen == [f"e{n}" for n in range(25)]


async def test_a_listener_is_told_of_events_once_they_are_durable_before_the_commit_returns(store: Store) -> None:
    told: list[Outgoing] = []
    store.listen(told.extend)
    await store.commit([of(events=(noted("e1"), noted("e2")))])
    assert event_ids(told) == ["e1", "e2"]
    assert [replace(each, event=None) for each in told] == list(await store.pending(0, 10))
    assert all(each.event in (None, CODEC.decode(each.body)) for each in told)


async def test_a_listener_is_told_in_the_order_of_commits(store: Store) -> None:
    told: list[Outgoing] = []
    store.listen(told.extend)
    await asyncio.gather(*(store.commit([of(order(f"{n}"), events=(noted(f"e{n}"),))]) for n in range(2_000)))
    assert event_ids(told) == [f"e{n}" for n in range(2_000)]
    assert [entry.position for entry in told] == sorted({entry.position for entry in told})


async def test_a_listener_is_not_told_of_what_was_not_committed(store: Store) -> None:
    told: list[Outgoing] = []
    store.listen(told.extend)
    await store.commit([of(order("a"))])
    await store.commit([of(order("a"), events=(noted("e1"),))])
    assert told == []


async def test_every_listener_is_told(store: Store) -> None:
    first: list[Outgoing] = []
    second: list[Outgoing] = []
    store.listen(first.extend)
    store.listen(second.extend)
    await store.commit([of(events=(noted("e1"),))])
    assert event_ids(first) == event_ids(second) == ["e1"]


async def test_a_listener_that_fails_harms_no_commit_and_no_other_listener(store: Store) -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    told: list[Outgoing] = []

    def broken(_: Sequence[Outgoing]) -> None:
        raise RuntimeError("broken")

    store.listen(broken)
    store.listen(told.extend)
    assert list(await store.commit([of(events=(noted("e1"),))])) == [COMMITTED]
    assert event_ids(told) == ["e1"]
    assert len(reported) == 1


async def test_what_was_delivered_is_forgotten_soon_without_any_commit(store: Store) -> None:
    await store.commit([of(events=tuple(noted(f"e{n}") for n in range(5)))])
    store.delivered([entry.position for entry in await store.pending(0, 10)])
    await shrunk(store, to=0)


async def test_what_was_delivered_out_of_order_leaves_the_rest_pending(store: Store) -> None:
    await store.commit([of(events=tuple(noted(f"e{n}") for n in range(10)))])
    pending = await store.pending(0, 10)
    store.delivered([pending[n].position for n in (7, 2, 3, 8)])
    store.delivered([pending[n].position for n in (0, 4)])
    await shrunk(store, to=4)
    assert event_ids(await store.pending(0, 10)) == ["e1", "e5", "e6", "e9"]


async def test_what_was_delivered_goes_with_the_next_commit(store: Store) -> None:
    await store.commit([of(events=(noted("e1"),))])
    store.delivered([(await store.pending(0, 10))[0].position])
    await store.commit([of(events=(noted("e2"),))])
    await shrunk(store, to=1)
    assert event_ids(await store.pending(0, 10)) == ["e2"]


async def test_delivering_nothing_or_twice_does_no_harm(store: Store) -> None:
    await store.commit([of(events=(noted("e1"),))])
    position = (await store.pending(0, 10))[0].position
    store.delivered([])
    store.delivered([position])
    await shrunk(store, to=0)
    store.delivered([position])
    assert list(await store.commit([of(order("a"))])) == [COMMITTED]
    assert list(await store.get(ORDER, [key("a")])) == ["a"]


async def test_what_was_not_delivered_is_pending_after_reopening(place: Place) -> None:
    store = await place.open()
    for name in ("e1", "e2", "e3"):
        await store.commit([of(events=(noted(name),))])
    before = await store.pending(0, 10)
    store.delivered([before[1].position])
    await store.close()
    store = await place.open()
    assert list(await store.pending(0, 10)) == [before[0], before[2]]
    await store.close()


@pytest.mark.parametrize("empty", [True, False], ids=["emptied", "not emptied"])
async def test_a_position_is_never_used_again(place: Place, empty: bool) -> None:
    last = 0
    for round_ in range(3):
        store = await place.open()
        await store.commit([of(events=(noted(f"e{round_}"), noted(f"f{round_}")))])
        pending = await store.pending(last, 10)
        assert event_ids(pending) == [f"e{round_}", f"f{round_}"]
        assert pending[0].position > last
        last = pending[-1].position
        if empty:
            store.delivered([entry.position for entry in pending])
        await store.close()

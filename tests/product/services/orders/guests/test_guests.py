"""Guest lists: files whose faults are named by their lines, and guests who are put on all or none, each once."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec import UNSET
from tests.fakes import NOON, SEALS, CountingIds, ManualClock
from tests.seats import allocation

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.backoff import Backoff
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid
from cludale.ports.records import Commit, Outcome, Query, StoreUnavailable
from cludale.ports.seats import HoldRequest, LineRefused, SeatsHeld, SeatsUnavailable
from cludale.services.orders.due import PendingLimits
from cludale.services.orders.guests.domain import MOST_GUESTS, GuestLine, GuestsRefused, check_seats, from_csv
from cludale.services.orders.guests.service import GuestLists
from cludale.services.orders.service import Orders


def wrong(text: str) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        from_csv(text)
    return [(each["field"], each["message"]) for each in refused.value.values["errors"]]


def test_a_file_is_read_whatever_its_delimiter_and_order_of_columns() -> None:
    (at, first), (_, second) = from_csv('\ufeffTickets;Name;note\r\n2;"Ann; Bee";Press\r\n\r\n;Adébáyọ̀;\r\n')
    assert at == "csv line 2"
    assert (first.name, first.tickets, first.note) == ("Ann; Bee", 2, "Press")
    assert (second.name, second.tickets, second.note, second.email) == ("Adébáyọ̀", 1, None, None)


def test_every_wrong_line_is_named() -> None:
    found = wrong("name,tickets,email\nAnn,21,\n,1,\nBo,x,\nCy,1,no-address\nDee,1\nEve,1,e@example.org\n")
    assert [field for field, _ in found] == [f"csv line {number}" for number in (2, 3, 4, 5, 6)]
    assert [message.partition(":")[0] for _, message in found[:4]] == ["tickets", "name", "tickets", "email"]
    assert wrong("name,seat\nAnn,1\n")[0][0] == "csv line 1"
    assert "no guests" in wrong("name\n")[0][1]
    assert "more than" in wrong("name\n" + "Ann\n" * (MOST_GUESTS + 1))[0][1]


def test_a_file_may_name_seats_by_their_ids_and_each_of_them_once() -> None:
    text = "name,seats,wheelchairs\nAnn,A left-1;A left-2,1\nBo,,\nCy,A left-3;A left-2,\nDee,b;b,\n"
    (_, ann), (_, bo), *_ = found = from_csv(text)
    assert (ann.seats, ann.tickets, ann.wheelchairs, bo.seats) == (["A left-1", "A left-2"], 2, 1, UNSET)
    with pytest.raises(Invalid) as refused:
        check_seats(found)
    assert [(each["field"], each["message"]) for each in refused.value.values["errors"]] == [
        ("csv line 4 seats", "A left-2 is wanted twice in this file: line 2 has it, too"),
        ("csv line 5 seats", "b is wanted twice in this file: this guest has it already"),
    ]


def test_a_refusal_names_as_many_as_can_be_read_and_nobody() -> None:
    refused = GuestsRefused([(f"csv line {number}", "no seats") for number in range(2, 32)])
    assert (len(refused.values["errors"]), refused.values["refused"]) == (20, 30)
    assert refused.detail.endswith("csv line 21: no seats; and 10 more")


def lines(*names: str) -> list[GuestLine]:
    return from_csv("name,tickets\n" + "".join(f"{name},2\n" for name in names))


@pytest.fixture
def orders(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Orders:
    backoff = Backoff(1, 8)
    return Orders(store, clock=clock, ids=ids, seats=Few(8), pending=PendingLimits(backoff, 60), seals=SEALS)


class Few:
    """Concerts, with so many seats."""

    def __init__(self, left: int) -> None:
        self.left = left

    async def hold(self, wanted: HoldRequest) -> SeatsHeld:
        held = allocation(f"reservation-{wanted.order_id}", wanted.quantity, concert_id=wanted.concert_id)
        return SeatsHeld(held, Money(4500, "EUR"), NOON + timedelta(minutes=10), "event-1")

    async def hold_all(self, wanted: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        await asyncio.sleep(0)
        if sum(each.quantity for each in wanted) > self.left:
            raise LineRefused(len(wanted) - 1, SeatsUnavailable("concert-1", wanted=2, left=0))
        self.left -= sum(each.quantity for each in wanted)
        return [await self.hold(each) for each in wanted]


class Falls:
    """A store that fails in the middle of what it writes."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.after: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        if self.after is None:
            return await self._store.commit(commits)
        await self._store.commit(commits[: self.after])
        raise StoreUnavailable("it is away")


async def on(lists: GuestLists) -> list[str]:
    found, _ = await lists.listed("concert-1", None, Query(limit=100))
    return sorted(each.left.name or "" for each in found)


async def put(lists: GuestLists, *names: str) -> list[bool]:
    added = await lists.add("concert-1", lines(*names), seller="key-1", cause=Cause())
    return [each.is_new for each in added]


async def test_all_are_put_on_or_nobody_and_again_only_who_is_missing(orders: Orders, store: SqliteStore) -> None:
    lists = GuestLists(orders, store)
    with pytest.raises(GuestsRefused) as refused:
        await put(lists, "Ann", "Bo", "Cy", "Dee", "Eve")
    assert refused.value.values["errors"][0]["field"] == "csv line 6"
    assert await on(lists) == []
    assert await put(lists, "Ann", "Bo", "Ann") == [True, True, True]
    assert await put(lists, "Bo", "Ann", "Ann", "Ann") == [False, False, False, True]
    assert await on(lists) == ["Ann", "Ann", "Ann", "Bo"]


async def test_two_at_once_from_two_processes_put_nobody_on_twice(orders: Orders, store: SqliteStore) -> None:
    one, other = GuestLists(orders, store), GuestLists(orders, store)
    found = await asyncio.gather(put(one, "Ann", "Bo"), put(other, "Ann", "Bo"))
    assert sorted(found) == [[False, False], [True, True]]
    assert await on(one) == ["Ann", "Bo"]


async def test_what_a_failing_store_cut_off_is_finished_by_the_same_file(
    store: SqliteStore, clock: ManualClock, ids: CountingIds
) -> None:
    falls: Any = Falls(store)
    orders = Orders(falls, clock=clock, ids=ids, seats=Few(20), pending=PendingLimits(Backoff(1, 8), 60), seals=SEALS)
    lists = GuestLists(orders, falls)
    falls.after = 1
    with pytest.raises(StoreUnavailable):
        await put(lists, "Ann", "Bo", "Cy")
    falls.after = None
    assert len(await on(lists)) == 1
    assert sorted(await put(lists, "Ann", "Bo", "Cy")) == [False, True, True]
    assert await on(lists) == ["Ann", "Bo", "Cy"]


async def test_who_was_taken_off_can_be_put_on_again(orders: Orders, store: SqliteStore) -> None:
    lists = GuestLists(orders, store)
    for _ in range(3):
        (ann,) = await lists.add("concert-1", lines("Ann"), seller="key-1", cause=Cause())
        assert ann.is_new
        assert ann.order is not None
        await lists.remove(ann.order.id, seller="key-1", cause=Cause())
    assert await on(lists) == []

"""One key, one order: whatever was cut off, whatever else the key is used for."""

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec
import pytest
from tests.fakes import NOON, SEALS, CountingIds, ManualClock
from tests.seats import allocation

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.backoff import Backoff
from cludale.kernel.ids import same_as
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid
from cludale.ports.programme import ConcertDetails
from cludale.ports.records import Commit, Key, Kind, Outcome, Page, Query, Stored, StoreUnavailable
from cludale.ports.seats import HoldRequest, SeatsHeld
from cludale.services.orders.api import OrdersApi, PayAgain, PlaceOrder
from cludale.services.orders.due import PendingLimits
from cludale.services.orders.privacy.domain import unpacked
from cludale.services.orders.service import Orders
from cludale.services.orders.store import PERSONAL
from cludale.web.access import Access
from cludale.web.bodies import Body
from cludale.web.ownership import Ownership
from cludale.web.routing import Request

PLAIN = Request("", {})
KEYED = Request("", {b"idempotency-key": b"key-1"})
TIMED = Request("", {b"idempotency-key": b"0199c0ff-ee00-7abc-8def-0123456789ab"})
"""Under a key that tells the time."""
PAID_AGAIN = Request("order-1", {b"authorization": b"Bearer organizer"})


class Nowhere:
    """No concerts are in reach; where there is one organizer, nobody asks."""

    async def of(self, _: Sequence[str]) -> Mapping[str, ConcertDetails]:
        raise AssertionError


class Seats:
    """Holds whatever is asked for; asked again for the same order, the same seats."""

    def __init__(self) -> None:
        self.held: dict[str, SeatsHeld] = {}

    async def hold_all(self, wanted: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        return [await self.hold(each) for each in wanted]

    async def hold(self, wanted: HoldRequest) -> SeatsHeld:
        id = same_as("reservation", wanted.order_id)
        ends = NOON + timedelta(seconds=600)
        seats = allocation(id, wanted.quantity, section=wanted.section or "main")
        fresh = SeatsHeld(seats, Money(4500, "EUR"), ends, f"event-{id}")
        return self.held.setdefault(id, fresh)


class Failing:
    """A store whose next commit does not happen."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.fails = False

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        return await self._store.get(kind, keys)

    async def find(self, kind: Kind, query: Query) -> Page:
        return await self._store.find(kind, query)

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        if self.fails:
            self.fails = False
            raise StoreUnavailable("away")
        return await self._store.commit(commits)


@pytest.fixture
def seats() -> Seats:
    return Seats()


@pytest.fixture
def records(store: SqliteStore) -> Failing:
    return Failing(store)


@pytest.fixture
def api(records: Failing, clock: ManualClock, ids: CountingIds, seats: Seats) -> OrdersApi:
    orders = Orders(records, clock=clock, ids=ids, seats=seats, pending=PendingLimits(Backoff(1, 10), 60), seals=SEALS)
    access = Access(organizer_key="organizer", token_key="token")
    return OrdersApi(orders, records, access, Ownership(Nowhere(), lambda: True), methods=("card-ok", "invoice"))


def wanted(quantity: int) -> PlaceOrder:
    return PlaceOrder(concert_id="c1", user_id="u1", quantity=quantity)


@pytest.mark.parametrize("keyed", [KEYED, TIMED])
async def test_a_request_that_was_cut_off_is_taken_up_with_the_seats_that_it_held(
    api: OrdersApi, records: Failing, seats: Seats, keyed: Request
) -> None:
    records.fails = True
    with pytest.raises(StoreUnavailable):
        await api.place_order(keyed, wanted(2))
    assert (await api.place_order(keyed, wanted(2))).status == 201
    assert len(seats.held) == 1


async def test_another_request_under_a_key_that_was_cut_off_gets_seats_of_its_own(
    api: OrdersApi, records: Failing, seats: Seats
) -> None:
    records.fails = True
    with pytest.raises(StoreUnavailable):
        await api.place_order(KEYED, wanted(2))
    answer = await api.place_order(KEYED, wanted(3))
    said = msgspec.json.decode(answer.body)
    assert (said["quantity"], said["total"]["amount"]) == (3, 3 * 4500)


async def test_an_order_begins_with_the_time_of_its_key(api: OrdersApi) -> None:
    answer = await api.place_order(TIMED, wanted(2))
    assert msgspec.json.decode(answer.body)["id"].startswith("order-0199c0ffee00")


async def test_where_partitions_are_apart_an_id_is_that_which_releases_of_before_gave(api: OrdersApi) -> None:
    api.partitions_apart = True
    answer = await api.place_order(TIMED, wanted(2))
    assert msgspec.json.decode(answer.body)["id"].startswith("order-5c48de6d2130cadfb2d137f3c1c617db.")


async def test_what_a_release_of_before_answered_to_a_key_is_answered_again(api: OrdersApi, seats: Seats) -> None:
    api.partitions_apart = True  # gives the ids of before
    before = await api.place_order(TIMED, wanted(2))
    api.partitions_apart = False
    again = await api.place_order(TIMED, wanted(2))
    assert (again.status, again.body) == (before.status, before.body)
    assert len(seats.held) == 1


@pytest.mark.parametrize("address", ["zoe@example.org", "zoë@example.org", "zoe@münchen.example"])
async def test_an_order_has_any_address_that_mail_can_be_sent_to(api: OrdersApi, address: str) -> None:
    body = msgspec.json.encode({"concertId": "c1", "userId": "u1", "quantity": 1, "email": address})
    assert (await api.place_order(PLAIN, Body(PlaceOrder).decode(body))).status == 201


@pytest.mark.parametrize(
    ("asked", "accepts", "known"),
    [
        ({"language": "fr-CH"}, b"de", "fr"),
        ({"language": "it"}, b"de", None),
        ({}, b"pt, de-AT;q=0.9, en;q=0.5", "de"),
        ({}, b"pt", None),
        ({}, None, None),
        ({"email": None}, b"de", None),
    ],
)
async def test_an_order_knows_which_language_its_buyer_reads(
    api: OrdersApi, store: SqliteStore, asked: dict[str, str], accepts: bytes | None, known: str | None
) -> None:
    given = {"concertId": "c1", "userId": "u1", "quantity": 1, "email": "zoe@example.org", **asked}
    request = PLAIN if accepts is None else Request("", {b"accept-language": accepts})
    answer = await api.place_order(request, Body(PlaceOrder).decode(msgspec.json.encode(given)))
    id = msgspec.json.decode(answer.body)["id"]
    kept = await PERSONAL.load(store, (id,))
    assert bool(kept) is (given["email"] is not None)
    for each in kept.values():
        assert each.state.sealed is not None
        assert unpacked(SEALS.open(each.state.sealed, id)).language == known


@pytest.mark.parametrize("tag", ["d", "deutsch", "de_AT", "de\n", ""])
async def test_what_is_no_language_is_refused_by_its_field(tag: str) -> None:
    body = msgspec.json.encode({"concertId": "c1", "userId": "u1", "quantity": 1, "language": tag})
    with pytest.raises(Invalid) as refusal:
        Body(PlaceOrder).decode(body)
    assert refusal.value.values["errors"] == [
        {"field": "language", "message": "must be the tag of a language: de, or fr-CH"}
    ]


@pytest.mark.parametrize("method", ["cash", "visa", "card-nope", "CARD-OK"])
async def test_a_way_to_pay_that_the_provider_does_not_know_is_refused_with_those_that_it_knows(
    api: OrdersApi, seats: Seats, method: str
) -> None:
    placed = wanted(2)
    with pytest.raises(Invalid) as refusal:
        await api.place_order(PLAIN, msgspec.structs.replace(placed, payment_method=method))
    assert refusal.value.values["methods"] == ["card-ok", "invoice"]
    (error,) = refusal.value.values["errors"]
    assert error["field"] == "paymentMethod"
    assert "card-ok, invoice" in error["message"]
    assert seats.held == {}
    with pytest.raises(Invalid):
        await api.pay_order_again(PAID_AGAIN, PayAgain(payment_method=method))


@pytest.mark.parametrize(
    "address",
    ["a@b..c", ".a@x", "a@", "a b@x", unicodedata.normalize("NFD", "zoë@example.org"), "a\u200b@x", "a@☃.example"],
)
async def test_an_address_that_no_mail_can_be_sent_to_is_refused_by_its_field(
    api: OrdersApi, seats: Seats, address: str
) -> None:
    body = msgspec.json.encode({"concertId": "c1", "userId": "u1", "quantity": 1, "email": address})
    with pytest.raises(Invalid) as refusal:
        await api.place_order(PLAIN, Body(PlaceOrder).decode(body))
    assert refusal.value.values["errors"] == [{"field": "email", "message": "must be an e-mail address"}]
    assert seats.held == {}

"""What orders keeps of its buyers, over the real store: sealed, found by its hash, erased, and brought up to date."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from tests.events import published
from tests.fakes import NOON, SEALS, CountingIds, ManualClock
from tests.patience import until
from tests.product.services.orders.test_service import REQUEST, Seats

from cludale.adapters.ciphers import AeadSeals
from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.backoff import Backoff
from cludale.kernel.buyers import BuyerHash
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy
from cludale.ports.contacts import Contact
from cludale.ports.programme import ConcertDetails, ProgrammeUnreachable
from cludale.ports.records import Commit, Put, Query
from cludale.ports.seals import CannotOpen, Seals
from cludale.ports.seats import HoldRequest, SeatsHeld, SeatsUnreachable
from cludale.runtime.aggregates import AnsweredBefore, Updates
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.orders import domain
from cludale.services.orders.aftersale.domain import Amendment, BuyerErased, RefundWish
from cludale.services.orders.due import PendingLimits
from cludale.services.orders.events import ErasureReason, Party
from cludale.services.orders.order import Order, OrderRequest
from cludale.services.orders.privacy.domain import Particulars, Personal, folded, words
from cludale.services.orders.privacy.retention import RetentionPeriod
from cludale.services.orders.privacy.upkeep import ERASED_AGAIN, RESTORED, ErasuresOwed, names_nobody, note
from cludale.services.orders.service import Orders
from cludale.services.orders.store import INVOICED_EMAILS, ORDERS, PERSONAL, Search

EMAIL = "zoe@example.org"
PAGE = Query(limit=10)
WANTED = OrderRequest(concert_id="concert-1", user_id="user-1", quantity=2, email=EMAIL, phone="+49 30 1234567")


class Programme:
    """Concerts, as retention asks it."""

    def __init__(self) -> None:
        self.concerts = {"concert-1": ConcertDetails("A", "2026-12-01")}
        self.is_away = False

    async def of(self, _: Sequence[str]) -> Mapping[str, ConcertDetails]:
        if self.is_away:
            raise ProgrammeUnreachable("no answer")
        return self.concerts


@pytest.fixture
def programme() -> Programme:
    return Programme()


class File:
    """A store that is written anew."""

    def __init__(self, size: int) -> None:
        self.size, self.times = size, 0

    async def rewrite(self, _: Callable[[int], None]) -> None:
        self.times += 1


class Make:
    """Orders over the one store, with these seals."""

    def __init__(self, store: SqliteStore, clock: ManualClock, ids: CountingIds, programme: Programme) -> None:
        self.store, self.clock, self.ids, self._programme = store, clock, ids, programme

    def __call__(
        self,
        seals: Seals = SEALS,
        *,
        days: float | None = None,
        seats: Seats | None = None,
        buyers: BuyerHash | None = None,
        file: File | None = None,
    ) -> Orders:
        return Orders(
            self.store,
            clock=self.clock,
            ids=self.ids,
            seats=seats or Seats(),
            buyers=buyers,
            pending=PendingLimits(Backoff(1, 8), 60),
            seals=seals,
            retention=None if days is None else RetentionPeriod(days, self._programme),
            walks=True,
            file=file,
        )

    async def kept(self, order: Order) -> Personal:
        found = await PERSONAL.one(self.store, order.id)
        return found.state


@pytest.fixture
def make(store: SqliteStore, clock: ManualClock, ids: CountingIds, programme: Programme) -> Make:
    return Make(store, clock, ids, programme)


async def erasures(make: Make) -> int:
    return [event.type for event in await published(make.store)].count("ContactErased")


async def test_an_address_is_kept_for_who_may_read_it_and_nowhere_in_clear(make: Make, tmp_path: Path) -> None:
    orders = make()
    order = await orders.place(WANTED, cause=REQUEST)
    assert await orders.privacy.contacts([order.id, "nothing"]) == {order.id: Contact(EMAIL, "+49 30 1234567")}
    assert order.reachable
    assert not order.has_clear_contact
    await make.store.close()
    files = _read(tmp_path)
    assert files
    assert not any(b"zoe" in each or b"1234567" in each for each in files)


def _read(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*") if file.is_file()]


async def test_who_left_nothing_has_no_record(make: Make) -> None:
    orders = make()
    order = await orders.place(msgspec.structs.replace(WANTED, email=None, phone=None), cause=REQUEST)
    assert await orders.privacy.kept([order.id]) == {}
    assert await orders.privacy.contacts([order.id]) == {order.id: Contact()}


async def test_of_who_left_nothing_others_are_told_to_erase_what_they_have(make: Make) -> None:
    orders = make()
    order = await orders.place(msgspec.structs.replace(WANTED, email=None, phone=None), cause=REQUEST)
    for _ in range(2):
        erased = await orders.privacy.erase([order], REQUEST)
        assert (erased[order.id].erased_at, erased[order.id].sealed) == (NOON, None)
    assert await erasures(make) == 1
    with pytest.raises(BuyerErased):
        await orders.privacy.amend(order.id, Amendment(email=EMAIL), by=Party.BUYER, cause=REQUEST)


async def test_a_buyer_is_found_by_the_beginnings_of_their_names_until_they_are_erased(make: Make) -> None:
    orders = make()

    async def found(name: str, user_id: str | None = None, email: str | None = None) -> list[str]:
        search = Search(name=words(name), email=email, user_id=user_id)
        return [order.user_id for order in (await orders.finder.search(search, PAGE))[0]]

    placed = [
        await orders.place(msgspec.structs.replace(WANTED, user_id=user, name=name), cause=REQUEST)
        for user, name in {"1": "Zoë Müller-Lüdenscheidt", "2": "Ann MULLER", "3": None, "4": "Анна Straße"}.items()
    ]
    assert await found("muller") == ["1", "2"]
    assert await found("lüden ZOE") == ["1"]
    assert await found("uller") == []
    assert await found("анна STRASSE") == ["4"]
    assert await found("mul", email=EMAIL, user_id="2") == ["2"]
    await orders.privacy.erase(placed[:1], REQUEST)
    assert await found("muller") == ["2"]


async def test_an_erased_address_is_gone_and_told_once(make: Make) -> None:
    orders = make()
    order = await orders.place(WANTED, cause=REQUEST)
    for _ in range(2):
        erased = await orders.privacy.erase([order], REQUEST)
        assert erased[order.id].reason is ErasureReason.ASKED
    assert await orders.privacy.contacts([order.id]) == {order.id: Contact()}
    kept = await make.kept(order)
    assert (kept.sealed, kept.email, kept.due_at) == (None, None, None)
    assert await erasures(make) == 1
    found, _ = await orders.privacy.orders_of(EMAIL, PAGE)
    assert found == []


@pytest.mark.parametrize("written", ["zoe@example.org", "ZOE@Example.ORG"])
async def test_an_address_is_found_however_it_is_written(make: Make, written: str) -> None:
    orders = make()
    order = await orders.place(WANTED, cause=REQUEST)
    found, following = await orders.privacy.orders_of(written, PAGE)
    assert ([each.id for each in found], following) == ([order.id], None)


def test_other_scripts_have_one_form() -> None:
    assert folded("Zoë@MÜNCHEN.example") == folded("zoë@xn--mnchen-3ya.example")


@pytest.mark.parametrize("newer", ["newer", "chacha20-poly1305:newer"])
async def test_under_a_new_master_key_all_is_read_and_then_the_former_one_can_go(
    make: Make, clock: ManualClock, newer: str
) -> None:
    order = await make().place(WANTED, cause=REQUEST)
    both = make(AeadSeals(newer, "master"))
    assert (await both.privacy.contacts([order.id]))[order.id].email == EMAIL
    found, after = await both.privacy.orders_of(EMAIL, PAGE)
    if after is not None:
        found += (await both.privacy.orders_of(EMAIL, PAGE._replace(after=after)))[0]
    assert [each.id for each in found] == [order.id], "under the hash of the former one"
    await both.sweep()
    assert (await make.kept(order)).sealed is not None
    alone = make(AeadSeals(newer))
    assert (await alone.privacy.contacts([order.id]))[order.id].email == EMAIL
    assert (await alone.privacy.orders_of(EMAIL, PAGE))[0]
    assert await erasures(make) == 0


async def test_without_its_master_key_an_address_is_not_taken_for_none(make: Make) -> None:
    order = await make().place(WANTED, cause=REQUEST)
    with pytest.raises(Busy, match="can't be read"):
        await make(AeadSeals("another")).privacy.contacts([order.id])


async def test_what_an_earlier_version_kept_in_clear_is_sealed_by_the_sweep(make: Make) -> None:
    orders = make()
    placed = await orders.place(msgspec.structs.replace(WANTED, email=None, phone=None), cause=REQUEST)
    older = msgspec.structs.replace(placed, email=EMAIL)
    await make.store.commit([Commit(ORDERS.partition(placed.id), (ORDERS.put(older, 1),))])
    assert (await orders.privacy.contacts([placed.id]))[placed.id] == Contact(EMAIL)
    assert await orders.sweep() == 1
    stored = await orders.order(placed.id)
    assert (stored.email, stored.has_contact, stored.was_sealed) == (None, True, True)
    assert (await orders.privacy.contacts([placed.id]))[placed.id] == Contact(EMAIL)
    assert await make().sweep() == 0, "the next start finds that nothing is left"


@pytest.mark.parametrize(("size", "at_once"), [(1_000, 1), (1 << 30, 0)])
async def test_a_store_that_had_addresses_in_clear_is_written_anew_once(make: Make, size: int, at_once: int) -> None:
    placed = await make().place(msgspec.structs.replace(WANTED, email=None, phone=None), cause=REQUEST)
    older = msgspec.structs.replace(placed, email=EMAIL)
    await make.store.commit([Commit(ORDERS.partition(placed.id), (ORDERS.put(older, 1),))])
    file = File(size)
    orders = make(file=file)
    await orders.prepare()
    await orders.sweep()
    assert file.times == at_once, "a large one waits for the next start"
    for _ in range(2):
        orders = make(file=file)
        await orders.prepare()
        await orders.sweep()
        assert file.times == 1


async def test_a_new_store_is_never_written_anew(make: Make) -> None:
    file = File(1_000)
    for _ in range(3):
        orders = make(file=file)
        await orders.prepare()
        await orders.sweep()
        await orders.place(WANTED, cause=REQUEST)
    assert file.times == 0


async def test_a_restored_store_is_not_begun_with_before_its_erasures_are_done_again(make: Make) -> None:
    orders, updates = make(), Updates("orders", make.store, clock=make.clock, ids=make.ids)
    assert await names_nobody(make.store)
    await orders.place(WANTED, cause=REQUEST)
    assert not await names_nobody(make.store)
    await orders.prepare()
    await note(updates, RESTORED)
    with pytest.raises(ErasuresOwed, match="cludale backup settle"):
        await orders.prepare()
    await note(updates, ERASED_AGAIN)
    await orders.prepare()
    make.clock.advance(1)
    await note(updates, RESTORED)
    with pytest.raises(ErasuresOwed):
        await orders.prepare()


async def test_what_is_in_clear_yet_is_erased_all_the_same(make: Make) -> None:
    orders = make()
    placed = await orders.place(msgspec.structs.replace(WANTED, email=None, phone=None), cause=REQUEST)
    older = msgspec.structs.replace(placed, phone="+49 30 1234567")
    await make.store.commit([Commit(ORDERS.partition(placed.id), (ORDERS.put(older, 1),))])
    assert (await orders.privacy.erase([older], REQUEST))[placed.id].erased_at == NOON
    assert await orders.privacy.contacts([placed.id]) == {placed.id: Contact()}


async def test_an_amendment_goes_into_the_sealed_record_with_the_orders_new_version(make: Make, tmp_path: Path) -> None:
    orders = make()
    order = await orders.place(WANTED, cause=REQUEST)
    wanted = Amendment(name="Zoe Bee", email="other@example.org", phone=None, comment="qzx sits in front")
    amended = await orders.amend(order.id, wanted, by=Party.ORGANIZER, cause=REQUEST)
    assert (amended.amendments, amended.reachable) == (1, True)
    left = await orders.privacy.of([amended])
    assert left[order.id] == Particulars("other@example.org", None, "Zoe Bee", "qzx sits in front")
    assert (await orders.finder.search(Search(email=EMAIL), PAGE))[0] == []
    assert (await orders.finder.search(Search(email="Other@example.org"), PAGE))[0] == [amended]
    assert (await orders.finder.search(Search(email="other@example.org", user_id="user-2"), PAGE))[0] == []
    await orders.privacy.erase([amended], REQUEST)
    assert await orders.privacy.of([amended]) == {order.id: Particulars()}
    with pytest.raises(BuyerErased):
        await orders.amend(order.id, Amendment(comment="x"), by=Party.ORGANIZER, cause=REQUEST)
    await make.store.close()
    assert not any(word in each for each in _read(tmp_path) for word in (b"qzx", b"Bee", b"other@"))


async def test_who_has_another_address_by_now_is_found_by_the_one_that_stands_on_the_invoice(make: Make) -> None:
    orders, both, alone = make(), make(AeadSeals("newer", "master")), make(AeadSeals("newer"))

    async def found(by: Orders, email: str) -> list[str]:
        page, following = await by.privacy.orders_of(email, PAGE)
        assert following is None
        return [each.id for each in page]

    order = await orders.place(WANTED, cause=REQUEST)
    await orders.privacy.keep_for_invoices([order])
    for email in ("one@example.org", "other@example.org", EMAIL, "other@example.org"):
        await orders.amend(order.id, Amendment(email=email), by=Party.BUYER, cause=REQUEST)
        assert await found(orders, EMAIL) == [order.id]
        assert await found(orders, email) == [order.id]
    assert await found(orders, "one@example.org") == []
    await both.sweep()
    assert await found(alone, EMAIL) == [order.id], "under the new master key, too"
    first, following = await alone.privacy.orders_of(EMAIL, PAGE._replace(limit=1))
    assert ([each.id for each in first], following) == ([order.id], None)
    await alone.privacy.erase([order], REQUEST)
    assert await found(alone, EMAIL) == []
    assert (await INVOICED_EMAILS.one(make.store, order.id)).state.email is None


async def test_an_amendment_of_an_order_without_record_or_in_clear_makes_one(make: Make) -> None:
    orders = make()
    bare = msgspec.structs.replace(WANTED, email=None, phone=None)
    for clear in (None, EMAIL):
        placed = await orders.place(bare, cause=REQUEST)
        older = msgspec.structs.replace(placed, email=clear)
        if clear is not None:
            await make.store.commit([Commit(ORDERS.partition(placed.id), (ORDERS.put(older, 1),))])
        amended = await orders.amend(placed.id, Amendment(name="Zoe"), by=Party.BUYER, cause=REQUEST)
        assert (amended.has_clear_contact, amended.reachable) == (False, clear is not None)
        assert (await orders.privacy.of([amended]))[placed.id] == Particulars(clear, None, "Zoe")


async def paid(make: Make, orders: Orders, wanted: OrderRequest) -> Order:
    placed = await orders.place(wanted, cause=REQUEST)
    assert placed.allocation is not None
    state = domain.pay(placed, placed.allocation).state
    await make.store.commit([Commit(ORDERS.partition(placed.id), (ORDERS.put(state, 1),))])
    return state


@pytest.mark.parametrize("wanted", [WANTED, msgspec.structs.replace(WANTED, email=None, phone=None)], ids=["with", ""])
async def test_why_money_went_back_is_sealed_with_what_names_the_buyer(
    make: Make, tmp_path: Path, wanted: OrderRequest
) -> None:
    orders = make()
    order = await paid(make, orders, wanted)
    wish = RefundWish(by=Party.ORGANIZER, amount=Money(100, "EUR"), reason="qzx saw nothing")

    def keep(_: Order) -> Put:
        return Put(IdempotencyKeys.kind_for("orders"), "the-answer", b"{}", 0, ())

    after = await orders.refund(order.id, wish, cause=REQUEST, keep=keep)
    with pytest.raises(AnsweredBefore):
        await orders.refund(order.id, wish, cause=REQUEST, keep=keep)
    assert after.refunds[0].reason is None
    left = (await orders.privacy.of([after]))[order.id]
    assert (left.reasons, left.email) == ({"1": "qzx saw nothing"}, wanted.email)
    await orders.privacy.erase([after], REQUEST)
    again = await orders.refund(order.id, wish, cause=REQUEST)
    assert len(again.refunds) == 2, "money goes back to who was erased, too"
    assert await orders.privacy.of([again]) == {order.id: Particulars()}
    await make.store.close()
    assert not any(b"qzx" in each for each in _read(tmp_path))


async def test_two_amendments_at_once_are_both_kept(make: Make) -> None:
    orders = make()
    order = await orders.place(WANTED, cause=REQUEST)
    await asyncio.gather(
        orders.amend(order.id, Amendment(name="Zoe"), by=Party.BUYER, cause=REQUEST),
        orders.amend(order.id, Amendment(comment="in front"), by=Party.ORGANIZER, cause=REQUEST),
    )
    left = (await orders.privacy.of([order]))[order.id]
    assert (left.name, left.comment, left.email) == ("Zoe", "in front", EMAIL)


async def test_seats_asked_for_later_are_for_the_buyer_that_is_sealed(make: Make, clock: ManualClock) -> None:
    seats, hash = Seats(), BuyerHash(b"secret")
    asked: list[HoldRequest] = []

    async def hold(request: HoldRequest) -> SeatsHeld:
        asked.append(request)
        raise SeatsUnreachable("no answer")

    seats.hold = hold  # type: ignore[method-assign, assignment]
    orders = make(seats=seats, buyers=hash)
    await orders.place(WANTED, cause=REQUEST)
    clock.at += timedelta(seconds=30)
    await orders.sweep()
    await until(lambda: len(asked) > 1 and not orders.is_busy)
    assert {each.buyers for each in asked} == {hash.keys("user-1", EMAIL, WANTED.phone)}


class TestRetention:
    """So many days after the concert."""

    async def swept(self, orders: Orders) -> None:
        await orders.sweep()
        await until(lambda: not orders.is_busy)

    async def test_an_address_is_erased_so_many_days_after_the_concert_and_not_before(
        self, make: Make, clock: ManualClock
    ) -> None:
        orders = make(days=30)
        order = await orders.place(WANTED, cause=REQUEST)
        for days in (1, 30, 8):  # the concert is nine days from now, and over when it is over everywhere
            clock.at += timedelta(days=days)
            await self.swept(orders)
            assert (await make.kept(order)).sealed is not None, clock.at
        clock.at += timedelta(days=2)
        await self.swept(orders)
        kept = await make.kept(order)
        assert (kept.sealed, kept.reason, kept.erased_at) == (None, ErasureReason.RETENTION, clock.at)
        assert orders.gauges() == {"cludale_contacts_expired_total": 1}
        assert await erasures(make) == 1

    async def test_of_a_concert_that_goes_on_the_last_day_counts(
        self, make: Make, clock: ManualClock, programme: Programme
    ) -> None:
        programme.concerts = {"concert-1": ConcertDetails("A", "2026-11-23", ends_at="2026-12-23T23:00:00Z")}
        orders = make(days=1)
        order = await orders.place(WANTED, cause=REQUEST)
        clock.at += timedelta(days=10)
        await self.swept(orders)
        assert (await make.kept(order)).sealed is not None
        clock.at += timedelta(days=30)
        await self.swept(orders)
        assert (await make.kept(order)).sealed is None

    async def test_while_concerts_is_away_nothing_is_erased(
        self, make: Make, clock: ManualClock, programme: Programme
    ) -> None:
        orders = make(days=1)
        order = await orders.place(WANTED, cause=REQUEST)
        clock.at += timedelta(days=100)
        programme.is_away = True
        await self.swept(orders)
        assert (await make.kept(order)).sealed is not None
        programme.is_away = False
        clock.at += timedelta(minutes=11)
        await self.swept(orders)
        assert (await make.kept(order)).sealed is None

    async def test_without_a_number_of_days_addresses_are_kept_until_somebody_asks(
        self, make: Make, clock: ManualClock
    ) -> None:
        orders = make()
        order = await orders.place(WANTED, cause=REQUEST)
        clock.at += timedelta(days=10_000)
        await self.swept(orders)
        assert (await make.kept(order)).sealed is not None


class TestSeals:
    """AES-256-GCM under a key of its own for each."""

    def test_what_was_sealed_is_opened_for_whom_it_belongs_to_alone(self) -> None:
        sealed = SEALS.seal(b"secret", "order-1")
        assert SEALS.open(sealed, "order-1") == b"secret"
        with pytest.raises(CannotOpen):
            SEALS.open(sealed, "order-2")

    def test_equal_data_looks_different_each_time(self) -> None:
        assert SEALS.seal(b"secret", "order-1") != SEALS.seal(b"secret", "order-1")

    @pytest.mark.parametrize("part", ["key", "text"])
    def test_what_was_changed_does_not_open(self, part: str) -> None:
        sealed = SEALS.seal(b"secret", "order-1")
        whole = getattr(sealed, part)
        for wrong in (b"", whole[:-1], bytes([whole[0] ^ 1]) + whole[1:], whole[:-1] + bytes([whole[-1] ^ 1])):
            with pytest.raises(CannotOpen):
                SEALS.open(msgspec.structs.replace(sealed, **{part: wrong}), "order-1")

    def test_a_dropped_key_can_be_had_back_from_no_copy_once_its_master_key_is_gone(self) -> None:
        copy = SEALS.seal(b"secret", "order-1")
        with pytest.raises(CannotOpen, match="is not here"):
            AeadSeals("the next one").open(copy, "order-1")

    def test_a_hash_follows_from_the_master_key(self) -> None:
        assert SEALS.digest(EMAIL) == AeadSeals("master").digest(EMAIL) != AeadSeals("other").digest(EMAIL)

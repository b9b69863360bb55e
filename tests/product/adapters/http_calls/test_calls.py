"""Calls between services over real sockets: the same refusals as in one process, and an end to every wait."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.fakes import NOON
from tests.listening import LOOPBACK, listening
from tests.seats import allocation

from cludale.adapters.http_calls.calls import (
    CONCERTS_REMEMBERED,
    CONTACTS_AT_ONCE,
    HOLDS_AT_ONCE,
    HttpCharges,
    HttpContacts,
    HttpProgramme,
    HttpSales,
    HttpSeats,
)
from cludale.kernel.bills import Bill, BillLine, PriceWish, TicketCount
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, Invalid, Refusal
from cludale.ports.charges import ChargeQuestion, ChargeStanding, ChargeState, ChargesUnreachable
from cludale.ports.contacts import Contact, ContactsUnreachable
from cludale.ports.prices import (
    CategoryNotFound,
    CategoryNotSold,
    CodeOver,
    CodeUnknown,
    CodeUsedUp,
    TotalTooHigh,
    UnderTheMinimum,
)
from cludale.ports.programme import ConcertDetails, ProgrammeUnreachable
from cludale.ports.sales import Outlook, SaleOutlook, SalesUnreachable
from cludale.ports.seats import (
    ConcertNotFound,
    ConcertOver,
    HeldElsewhere,
    HeldOtherwise,
    HoldEnded,
    HoldRequest,
    LineRefused,
    NotOnSale,
    OtherCurrency,
    OverTheLimit,
    PriceTooHigh,
    SeatsHeld,
    SeatsUnavailable,
    SeatsUnreachable,
    SectionNotFound,
)
from cludale.services.concerts.api import STATUS
from cludale.services.concerts.codes.api import STATUS as PRICES
from cludale.web.problems import Problems

TIMEOUT_SECONDS = 1.5
REQUEST = HoldRequest("concert-1", 2, "order-1", "stalls", "00-trace")
HELD = {
    "id": "reservation-1",
    "concertId": "concert-1",
    "section": "stalls",
    "quantity": 2,
    "status": "Held",
    "expiresAt": "2026-11-22T12:10:00Z",
    "price": {"amount": 4500, "currency": "EUR"},
    "eventId": "event-1",
}
Play = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


def answer(status: int, body: object) -> bytes:
    """A whole HTTP answer; bytes go as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(content), content)


class Other:
    """The other service: answers each request as the test says, over a real socket."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[bytes] = []
        self.at_once = self.most_at_once = 0
        self.play: Play = self.sends(answer(201, HELD))

    @staticmethod
    def sends(*parts: bytes, every_seconds: float = 0.0) -> Play:
        async def play(writer: asyncio.StreamWriter, _: bytes) -> None:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(every_seconds)

        return play

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next((int(h[15:]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")), 0)
            request = head + await reader.readexactly(length)
            self.requests.append(request)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                await self.play(writer, request)
            finally:
                self.at_once -= 1


@pytest.fixture
async def other() -> AsyncIterator[Other]:
    service = Other()
    async with listening(service.serve) as port:
        service.url = f"http://{LOOPBACK}:{port}"
        yield service


@pytest.fixture
async def seats(other: Other) -> AsyncIterator[HttpSeats]:
    opened = HttpSeats(other.url, lambda _: "organizer-key", timeout_seconds=TIMEOUT_SECONDS)
    yield opened
    await opened.close()


@pytest.fixture
async def programme(other: Other) -> AsyncIterator[HttpProgramme]:
    opened = HttpProgramme(other.url, lambda _: "organizer-key", timeout_seconds=TIMEOUT_SECONDS)
    yield opened
    await opened.close()


@pytest.fixture
async def contacts(other: Other) -> AsyncIterator[HttpContacts]:
    opened = HttpContacts(other.url, lambda _: "organizer-key", timeout_seconds=TIMEOUT_SECONDS)
    yield opened
    await opened.close()


class TestSeats:
    async def test_a_hold_is_asked_for_by_its_order_and_with_the_services_own_credential(
        self, other: Other, seats: HttpSeats
    ) -> None:
        held = await seats.hold(REQUEST)
        ends = NOON + timedelta(seconds=600)
        assert held == SeatsHeld(allocation(), Money(4500, "EUR"), ends, "event-1")
        (request,) = other.requests
        head, _, body = request.partition(b"\r\n\r\n")
        assert head.startswith(b"POST /concerts/concert-1/reserve HTTP/1.1\r\n")
        assert b"authorization: Bearer organizer-key" in head.replace(b"Authorization", b"authorization")
        assert b"traceparent: 00-trace" in head
        assert msgspec.json.decode(body) == {"quantity": 2, "orderId": "order-1", "section": "stalls"}

    async def test_which_tickets_are_wanted_is_said_and_their_bill_comes_back(
        self, other: Other, seats: HttpSeats
    ) -> None:
        line = BillLine(category="child", name="Child", quantity=2, price=100, net=200, total=200)
        bill = Bill(currency="EUR", lines=(line,), net=200, total=200, code="TEN")
        said = {
            "id": "reservation-1", "section": "stalls", "quantity": 2, "price": Money(100, "EUR"),
            "expiresAt": NOON, "bill": bill,
        }  # fmt: skip
        other.play = other.sends(answer(201, msgspec.json.encode(said)))
        wish = PriceWish(tickets=(TicketCount(category="child", quantity=2),), code="TEN")
        held = await seats.hold(msgspec.structs.replace(REQUEST, wish=wish))
        assert held.bill == bill
        (request,) = other.requests
        sent = msgspec.json.decode(request.partition(b"\r\n\r\n")[2])
        assert sent["wish"] == {"tickets": [{"category": "child", "quantity": 2}], "code": "TEN"}

    @pytest.mark.parametrize(
        "refusal",
        [
            SeatsUnavailable("concert-1", wanted=2, left=1),
            SeatsUnavailable("concert-1", wanted=2, left=1, section="stalls", held=3, held_until=NOON),
            PriceTooHigh("concert-1", max_price=Money(1, "EUR"), price_from=Money(2, "EUR")),
            OtherCurrency("concert-1", "EUR"),
            OtherCurrency("concert-1", "EUR", field="maxTotal.currency"),
            CategoryNotFound("concert-1", "dog"),
            CategoryNotSold("concert-1", "child", section="stalls"),
            CodeUnknown("concert-1", "TEN"),
            CodeOver("TEN", ended_at=NOON),
            CodeUsedUp("TEN", limit=5, left=1, counts="tickets"),
            TotalTooHigh(max_total=Money(1, "EUR"), total=Money(2, "EUR")),
            UnderTheMinimum("concert-1", wanted=2, least=4),
            Invalid(("quantity", "is 2, and `tickets` are 3")),
            NotOnSale("concert-1", NOON),
            ConcertOver("concert-1", NOON),
            ConcertNotFound("concert-1"),
            SectionNotFound("concert-1", "stalls"),
            OverTheLimit("concert-1", wanted=2, limit=1),
            HoldEnded("reservation-1"),
            HeldElsewhere("reservation-1", concert_id="concert-9"),
            HeldOtherwise("order-1", wanted=2, held=3, section="balcony"),
            Busy("Too many requests wait for the same seats."),
        ],
        ids=lambda refusal: refusal.name(),
    )
    async def test_a_refusal_comes_back_as_the_refusal_that_it_was(
        self, other: Other, seats: HttpSeats, refusal: Refusal
    ) -> None:
        problem = Problems(STATUS, PRICES).answer(refusal)
        other.play = other.sends(answer(problem.status, problem.body))
        with pytest.raises(type(refusal)) as came:
            await seats.hold(REQUEST)
        assert (came.value.detail, came.value.values) == (refusal.detail, refusal.values)

    async def test_of_several_holds_the_first_that_is_refused_comes_back_and_why_others_were(
        self, other: Other, seats: HttpSeats
    ) -> None:
        refusal = SeatsUnavailable("concert-1", wanted=2, left=1)
        refusal.values |= {"line": 1, "alsoRefused": {3: "no seats"}}
        problem = Problems(STATUS, PRICES).answer(refusal)
        other.play = other.sends(answer(problem.status, problem.body))
        with pytest.raises(LineRefused) as came:
            await seats.hold_all([REQUEST] * 4)
        assert (came.value.line, came.value.also) == (1, {3: "no seats"})
        assert isinstance(came.value.refusal, SeatsUnavailable)

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (500, {"type": "/problems/internal-error"}),
            (401, {"type": "/problems/unauthorized"}),
            (404, {"type": "/problems/no-such-route"}),
            (502, b"<html>Bad gateway</html>"),
            (503, b""),
            (409, {"type": "/problems/seats-unavailable"}),
            (409, {"type": "/problems/not-on-sale", "onSaleAt": "soon"}),
            (409, {"title": "no type"}),
            (409, ["seats-unavailable"]),
            (409, b"\xff\xfe"),
            (201, b""),
            (201, {"id": "reservation-1"}),
            (201, b"\xff"),
            (302, b""),
        ],
    )
    async def test_an_answer_that_is_none_means_ask_again(
        self, other: Other, seats: HttpSeats, status: int, body: object
    ) -> None:
        other.play = other.sends(answer(status, body))
        with pytest.raises(SeatsUnreachable):
            await seats.hold(REQUEST)

    async def test_a_service_that_is_away_means_ask_again(self) -> None:
        seats = HttpSeats("http://127.0.0.1:9", lambda _: "organizer-key", timeout_seconds=TIMEOUT_SECONDS)
        with pytest.raises(SeatsUnreachable):
            await seats.hold(REQUEST)
        await seats.close()

    async def test_a_connection_that_breaks_means_ask_again(self, other: Other, seats: HttpSeats) -> None:
        async def hang_up(writer: asyncio.StreamWriter, _: bytes) -> None:
            writer.transport.abort()

        other.play = hang_up
        with pytest.raises(SeatsUnreachable):
            await seats.hold(REQUEST)

    async def test_an_answer_that_trickles_is_waited_for_no_longer_than_any(
        self, other: Other, seats: HttpSeats
    ) -> None:
        whole = answer(201, HELD)
        other.play = other.sends(*(whole[i : i + 8] for i in range(0, len(whole), 8)), every_seconds=0.1)
        begun = time.monotonic()
        with pytest.raises(SeatsUnreachable):
            await seats.hold(REQUEST)
        assert time.monotonic() - begun < 2 * TIMEOUT_SECONDS

    async def test_an_answer_that_never_comes_is_given_up_on(self, other: Other, seats: HttpSeats) -> None:
        other.play = other.sends(every_seconds=0)
        with pytest.raises(SeatsUnreachable):
            await seats.hold(REQUEST)


def order(number: int, concert_id: str = "concert-1") -> HoldRequest:
    return msgspec.structs.replace(REQUEST, order_id=f"order-{number}", concert_id=concert_id)


def asked_for(request: bytes) -> tuple[str, list[str]]:
    """The path of a request for holds, and the orders that they are for."""
    body = msgspec.json.decode(request.partition(b"\r\n\r\n")[2])
    orders = [each["order_id"] for each in body["holds"]] if "holds" in body else [body["orderId"]]
    return request.split(b" ", 2)[1].decode(), orders


async def busy(seats: HttpSeats) -> list[asyncio.Task[SeatsHeld]]:
    """As many holds as may be under way, each in a call of its own."""
    tasks = []
    for at in range(1, HOLDS_AT_ONCE + 1):
        tasks.append(asyncio.create_task(seats.hold(order(-at))))
        await asyncio.sleep(0.02)
    return tasks


class TestHoldsOfOneMoment:
    """While HOLDS_AT_ONCE calls are under way, holds of the same concert wait, and then go together."""

    @staticmethod
    def plays(together: Callable[[list[str]], bytes], release: asyncio.Event) -> Play:
        """Answers a hold that comes alone once it is released, and those that come together as `together` says."""

        async def play(writer: asyncio.StreamWriter, request: bytes) -> None:
            path, orders = asked_for(request)
            if path.endswith("/apart"):
                writer.write(together(orders))
                return
            await release.wait()
            writer.write(answer(201, {**HELD, "id": f"reservation-{orders[0]}"}))

        return play

    @staticmethod
    def held(order_id: str) -> dict[str, object]:
        ends = NOON + timedelta(seconds=600)
        return {"held": SeatsHeld(allocation(reservation_id=f"for-{order_id}"), Money(4500, "EUR"), ends, "event-1")}

    @staticmethod
    async def ask(seats: HttpSeats, release: asyncio.Event, count: int) -> list[SeatsHeld | BaseException]:
        """What becomes of so many that are asked for after as many as may be under way."""
        before = await busy(seats)
        behind = [asyncio.create_task(seats.hold(order(at))) for at in range(count)]
        await asyncio.sleep(0.05)
        release.set()
        await asyncio.gather(*before)
        return await asyncio.gather(*behind, return_exceptions=True)

    async def test_those_that_wait_go_in_one_call_and_each_gets_its_own_answer(
        self, other: Other, seats: HttpSeats
    ) -> None:
        refusal = Problems(STATUS, PRICES).answer(SeatsUnavailable("concert-1", wanted=2, left=1))
        problem = {"problem": msgspec.Raw(refusal.body)}
        release = asyncio.Event()
        other.play = self.plays(
            lambda orders: answer(200, {"answers": [problem if x == "order-1" else self.held(x) for x in orders]}),
            release,
        )
        results = await self.ask(seats, release, 3)
        assert [getattr(each, "allocation", None) for each in results] == [
            allocation(reservation_id="for-order-0"), None, allocation(reservation_id="for-order-2"),
        ]  # fmt: skip
        assert isinstance(results[1], SeatsUnavailable)
        asked = [asked_for(each) for each in other.requests[HOLDS_AT_ONCE:]]
        assert asked == [("/concerts/-/holds/apart", ["order-0", "order-1", "order-2"])]

    async def test_a_release_of_before_is_asked_for_each(self, other: Other, seats: HttpSeats) -> None:
        release = asyncio.Event()
        other.play = self.plays(lambda _: answer(404, {"type": "/problems/no-such-route"}), release)
        for _ in range(2):
            results = await self.ask(seats, release, 3)
            assert [each.allocation.reservation_id for each in results if isinstance(each, SeatsHeld)] == [
                "reservation-order-0", "reservation-order-1", "reservation-order-2",
            ]  # fmt: skip
            release.clear()
        paths = [asked_for(each)[0] for each in other.requests]
        assert paths.count("/concerts/-/holds/apart") == 1

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (500, {"type": "/problems/internal-error"}),
            (503, b""),
            (200, b""),
            (200, {"answers": []}),
            (200, {"answers": [{}, {}, {}]}),
            (200, {"answers": [{"problem": 1}, {"problem": {}}, {"problem": {"type": "?"}}]}),
        ],
    )
    async def test_an_answer_that_is_none_means_ask_again(
        self, other: Other, seats: HttpSeats, status: int, body: object
    ) -> None:
        release = asyncio.Event()
        other.play = self.plays(lambda _: answer(status, body), release)
        results = await self.ask(seats, release, 3)
        assert [type(each) for each in results] == [SeatsUnreachable] * 3

    async def test_a_concerts_that_is_busy_is_busy_for_all_of_them(self, other: Other, seats: HttpSeats) -> None:
        busy = Problems(STATUS).answer(Busy("Too many connections; try again in a moment."))
        release = asyncio.Event()
        other.play = self.plays(lambda _: answer(busy.status, busy.body), release)
        assert [type(each) for each in await self.ask(seats, release, 3)] == [Busy] * 3

    async def test_who_waits_for_a_call_waits_no_longer_than_for_an_answer(
        self, other: Other, seats: HttpSeats
    ) -> None:
        other.play = other.sends(every_seconds=0)
        begun = time.monotonic()
        tasks = await busy(seats)
        await asyncio.sleep(TIMEOUT_SECONDS / 2)
        results = await asyncio.gather(*tasks, seats.hold(order(0)), return_exceptions=True)
        assert [type(each) for each in results] == [SeatsUnreachable] * (HOLDS_AT_ONCE + 1)
        assert time.monotonic() - begun < 2 * TIMEOUT_SECONDS

    async def test_holds_of_another_concert_wait_for_none_of_these(self, other: Other, seats: HttpSeats) -> None:
        release = asyncio.Event()

        async def play(writer: asyncio.StreamWriter, request: bytes) -> None:
            if b"concert-1/" in request:
                await release.wait()
            writer.write(answer(201, HELD))

        other.play = play
        tasks = [*await busy(seats), asyncio.create_task(seats.hold(order(0)))]
        held = await seats.hold(order(9, "concert-2"))
        assert held.allocation.concert_id == "concert-2"
        assert not any(each.done() for each in tasks)
        release.set()
        await asyncio.gather(*tasks)


class TestContacts:
    async def test_the_contacts_of_many_orders_come_together(self, other: Other, contacts: HttpContacts) -> None:
        async def by_order(writer: asyncio.StreamWriter, request: bytes) -> None:
            await asyncio.sleep(0.01)
            order = request.split(b"/")[2].decode()
            number = int(order.partition("-")[2])
            known = answer(200, {"email": f"{order}@example.org", "phone": None})
            writer.write(known if number % 2 else answer(404, {"type": "/problems/not-found"}))

        other.play = by_order
        orders = [f"order-{i}" for i in range(60)]
        assert await contacts.of(orders) == {
            f"order-{i}": Contact(f"order-{i}@example.org", None) for i in range(1, 60, 2)
        }
        assert 1 < other.most_at_once <= CONTACTS_AT_ONCE

    @pytest.mark.parametrize(
        ("status", "body"), [(500, b""), (401, {"type": "/problems/unauthorized"}), (200, b"{"), (200, b"\xff")]
    )
    async def test_an_answer_that_is_none_means_ask_again(
        self, other: Other, contacts: HttpContacts, status: int, body: object
    ) -> None:
        other.play = other.sends(answer(status, body))
        with pytest.raises(ContactsUnreachable):
            await contacts.of(["order-1"])

    async def test_an_answer_that_never_comes_is_given_up_on(self, other: Other, contacts: HttpContacts) -> None:
        other.play = other.sends()
        with pytest.raises(ContactsUnreachable):
            await contacts.of(["order-1", "order-2"])


class TestSales:
    SEATS = allocation(concert_id="concert/1", section="stalls & more")

    @pytest.fixture
    async def sales(self, other: Other) -> AsyncIterator[HttpSales]:
        opened = HttpSales(other.url, lambda _: "organizer-key", timeout_seconds=TIMEOUT_SECONDS)
        yield opened
        await opened.close()

    async def test_concerts_is_asked_with_the_organizers_key(self, other: Other, sales: HttpSales) -> None:
        other.play = other.sends(answer(200, {"outlook": "over", "left": 3, "overAt": "2026-11-22T12:10:00Z"}))
        over_at = datetime(2026, 11, 22, 12, 10, tzinfo=UTC)
        assert await sales.outlook(self.SEATS) == SaleOutlook(Outlook.OVER, 3, over_at)
        (request,) = other.requests
        path = b"/concerts/concert%2F1/sale-outlook?section=stalls+%26+more&reservationId=reservation-1"
        assert request.startswith(b"GET " + path)
        assert b"Bearer organizer-key" in request

    @pytest.mark.parametrize(
        ("status", "body"), [(500, b""), (404, {"type": "/problems/concert-not-found"}), (200, b"{"), (200, {})]
    )
    async def test_an_answer_that_is_none_means_that_nothing_is_known(
        self, other: Other, sales: HttpSales, status: int, body: object
    ) -> None:
        other.play = other.sends(answer(status, body))
        with pytest.raises(SalesUnreachable):
            await sales.outlook(self.SEATS)

    async def test_an_answer_that_never_comes_is_given_up_on(self, other: Other, sales: HttpSales) -> None:
        other.play = other.sends()
        with pytest.raises(SalesUnreachable):
            await sales.outlook(self.SEATS)


class TestCharges:
    QUESTIONS = (
        ChargeQuestion("order-1", 1, is_open=True, is_refunded=False, cancelled_on_purpose=False),
        ChargeQuestion("order-2", 2, is_open=False, is_refunded=False, cancelled_on_purpose=True),
    )

    @pytest.fixture
    async def charges(self, other: Other) -> AsyncIterator[HttpCharges]:
        opened = HttpCharges(other.url, lambda _: "organizer-key", timeout_seconds=TIMEOUT_SECONDS)
        yield opened
        await opened.close()

    async def test_payments_is_asked_for_many_orders_at_once(self, other: Other, charges: HttpCharges) -> None:
        said = {
            "items": [
                {"orderId": "order-1", "state": "taken", "round": 1, "closed": False, "toldAgain": True},
                {"orderId": "order-2", "state": "unknown"},
            ]
        }
        other.play = other.sends(answer(200, said))
        assert await charges.compare(self.QUESTIONS) == {
            "order-1": ChargeStanding("order-1", ChargeState.TAKEN, 1, told_again=True),
            "order-2": ChargeStanding("order-2", ChargeState.UNKNOWN),
        }
        (request,) = other.requests
        assert request.startswith(b"POST /payments/compare")
        assert b"Bearer organizer-key" in request
        assert b'"orderId":"order-2","round":2,"isOpen":false,"isRefunded":false,"cancelledByWish":true' in request

    @pytest.mark.parametrize(("status", "body"), [(500, b""), (404, {}), (200, b"{"), (200, {"items": [{}]})])
    async def test_an_answer_that_is_none_means_that_nothing_is_known(
        self, other: Other, charges: HttpCharges, status: int, body: object
    ) -> None:
        other.play = other.sends(answer(status, body))
        with pytest.raises(ChargesUnreachable):
            await charges.compare(self.QUESTIONS)

    async def test_an_answer_that_never_comes_is_given_up_on(self, other: Other, charges: HttpCharges) -> None:
        other.play = other.sends()
        with pytest.raises(ChargesUnreachable):
            await charges.compare(self.QUESTIONS)


class TestProgramme:
    async def test_concerts_are_asked_for_once_and_remembered(self, other: Other, programme: HttpProgramme) -> None:
        asked: list[str] = []

        async def by_concert(writer: asyncio.StreamWriter, request: bytes) -> None:
            concert = request.split(b"/")[2].split()[0].decode()
            asked.append(concert)
            known = {
                "artist": "Zoë",
                "date": "2027-06-05T22:30:00-04:00",
                "venue": None,
                "sections": [{"id": "stalls", "name": "Stalls", "totalSeats": 5}, {"id": "circle"}],
                "whatever": 1,
            }
            writer.write(answer(200, known) if concert == "concert-1" else answer(404, {}))

        other.play = by_concert
        for _ in range(3):
            assert await programme.of(["concert-1", "concert-2"]) == {
                "concert-1": ConcertDetails("Zoë", "2027-06-05T22:30:00-04:00", None, {"stalls": "Stalls"})
            }
        assert asked.count("concert-1") == 1

    async def test_it_is_known_that_a_concert_has_no_date_yet(self, other: Other, programme: HttpProgramme) -> None:
        other.play = other.sends(answer(200, {"artist": "Zoë", "date": "2027-06-05", "status": "postponed"}))
        found = await programme.of(["concert-1"])
        assert found["concert-1"].is_postponed

    @pytest.mark.parametrize(
        ("status", "body"), [(500, b""), (401, {"type": "/problems/unauthorized"}), (200, b"{"), (200, {"artist": 1})]
    )
    async def test_an_answer_that_is_none_means_ask_again(
        self, other: Other, programme: HttpProgramme, status: int, body: object
    ) -> None:
        other.play = other.sends(answer(status, body))
        with pytest.raises(ProgrammeUnreachable):
            await programme.of(["concert-1"])

    async def test_an_answer_that_never_comes_is_given_up_on(self, other: Other, programme: HttpProgramme) -> None:
        other.play = other.sends()
        with pytest.raises(ProgrammeUnreachable):
            await programme.of(["concert-1"])

    async def test_only_so_many_are_remembered(self, other: Other, programme: HttpProgramme) -> None:
        other.play = other.sends(answer(200, {"artist": "Zoë", "date": "2027-06-05"}))
        for number in range(2 * CONCERTS_REMEMBERED):
            await programme.of([f"concert-{number}"])
        asked = len(other.requests)
        await programme.of([f"concert-{2 * CONCERTS_REMEMBERED - 1}"])
        assert len(other.requests) == asked
        await programme.of(["concert-0"])
        assert len(other.requests) == asked + 1

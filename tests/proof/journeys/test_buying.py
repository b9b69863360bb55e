"""From the order to the ticket, and what stands between the two."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.proof.journeys.box_office import PRICE, BoxOffice, fresh, problem, types

HAPPY = [
    "OrderPlaced",
    "SeatsReserved",
    "TicketReserved",
    "PaymentCompleted",
    "SeatsSold",
    "OrderPaid",
    "NotificationSent",
    "TicketIssued",
]


def when(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    assert moment.utcoffset() == timedelta(0)
    return moment


def test_a_ticket_is_bought_paid_confirmed_and_audited(office: BoxOffice) -> None:
    begun = datetime.now(UTC)
    concert = office.put_on(seats=10)
    order = office.buy(concert["id"], quantity=3, userId="user-7", email="buyer@example.org")
    id, token = order["id"], order["accessToken"]
    assert order == {
        "id": id,
        "concertId": concert["id"],
        "section": "general",
        "userId": "user-7",
        "quantity": 3,
        "status": "Reserved",
        "reason": None,
        "total": {"amount": 13500, "currency": "EUR"},
        "bill": None,
        "createdAt": order["createdAt"],
        "expiresAt": order["expiresAt"],
        "cancelUntil": "2099-06-05T00:00:00Z",
        "payment": {"status": "Pending", "at": order["payment"]["at"], "attempts": 0},
        "refunds": [],
        "held": 3,
        "refunded": {"amount": 0, "currency": "EUR"},
        "accessToken": token,
    }
    assert begun <= when(order["createdAt"]) < when(order["expiresAt"])
    paid = office.end(order, "Paid")
    settled = {"status": "Completed", "at": paid["payment"]["at"], "attempts": 1}
    assert paid == {n: order[n] for n in order if n != "accessToken"} | {"status": "Paid", "payment": settled}
    assert when(order["payment"]["at"]) <= when(paid["payment"]["at"])
    assert office.counts(concert["id"]) == (7, 0, 3)

    payment = office.payment(order)
    (attempt,) = payment["attempts"]
    assert payment == {
        "id": payment["id"],
        "orderId": id,
        "amount": {"amount": 13500, "currency": "EUR"},
        "method": "card-ok",
        "status": "Completed",
        "refunding": False,
        "createdAt": payment["createdAt"],
        "attempts": [{"at": attempt["at"], "round": 1, "outcome": "charged", "detail": None}],
    }
    assert when(order["createdAt"]) <= when(payment["createdAt"]) <= when(attempt["at"])

    story = office.story(order, *HAPPY)
    assert sorted(types(story)) == sorted(HAPPY)
    by_type = {event["eventType"]: event for event in story}
    for effect, cause in [
        ("TicketReserved", "SeatsReserved"),
        ("PaymentCompleted", "TicketReserved"),
        ("SeatsSold", "PaymentCompleted"),
        ("OrderPaid", "SeatsSold"),
        ("NotificationSent", "OrderPaid"),
        ("TicketIssued", "OrderPaid"),
    ]:
        assert by_type[effect]["causationId"] == by_type[cause]["eventId"]
        assert types(story).index(cause) < types(story).index(effect)
        assert when(by_type[cause]["timestamp"]) <= when(by_type[effect]["timestamp"])
    for event in story:
        assert set(event) >= {"sequence", "eventId", "source", "subject", "payload", "hash"}
        assert event["correlationId"] == id
        assert "buyer@example.org" not in repr(event)

    (note,) = office.told(order, "confirmation")
    assert note == {
        "id": note["id"],
        "orderId": id,
        "kind": "confirmation",
        "channel": "log",
        "status": "Logged",
        "sentAt": note["sentAt"],
        "dueAt": None,
        "attempts": 1,
        "detail": None,
        "paymentId": office.payment(order)["id"],
        "bouncedAt": None,
        "bounce": None,
    }


def test_a_concert_is_shown_with_every_seat_counted(office: BoxOffice) -> None:
    id = fresh("concert")
    concert = office.put_on(id=id, seats=10, artist="Ægir & Sons", date="2099-01-02T19:30:00+01:00", venue=None)
    shown: dict[str, object] = {
        "id": id,
        "organizer": "default",
        "artist": "Ægir & Sons",
        "title": None,
        "date": "2099-01-02T19:30:00+01:00",
        "zone": None,
        "doorsAt": None,
        "venue": None,
        "place": None,
        "status": "listed",
        "reason": None,
        "totalSeats": 10,
        "availableSeats": 10,
        "heldSeats": 0,
        "soldSeats": 0,
        "heldBackSeats": 0,
        "priceFrom": PRICE,
        "price": PRICE,
        "free": False,
        "onSaleAt": None,
        "offSaleAt": None,
        "endsAt": None,
        "cancelUntil": "2099-01-02T18:30:00Z",
        "maxPerOrder": 8,
        "maxPerBuyer": None,
        "minPerOrder": 1,
        "offerMinutes": None,
        "listed": True,
        "sectionCount": 1,
        "description": None,
        "picture": None,
        "pricing": None,
        "seatPlan": None,
        "sections": [
            {
                "id": "general",
                "name": "General",
                "totalSeats": 10,
                "availableSeats": 10,
                "heldSeats": 0,
                "heldUntil": None,
                "heldBackSeats": 0,
                "waiting": 0,
                "price": PRICE,
                "zone": None,
                "accessibleSeats": 0,
                "prices": [],
            }
        ],
    }
    assert concert == shown
    assert office.concert(id) == concert


def test_when_nothing_is_left_it_says_how_much_that_is(office: BoxOffice) -> None:
    concert = office.put_on(seats=5)["id"]
    office.end(office.buy(concert, quantity=3), "Paid")
    refusal = problem(office.order(concert, quantity=3), 409, "seats-unavailable")
    assert refusal["left"] == 2
    office.end(office.buy(concert, quantity=2), "Paid")
    assert problem(office.order(concert, quantity=1), 409, "seats-unavailable")["left"] == 0
    assert office.counts(concert) == (0, 0, 5)
    assert len(office.listed("/orders", concertId=concert)) == 2


def test_before_the_on_sale_nothing_is_sold_and_then_it_is(office: BoxOffice) -> None:
    concert, opening, (refused, counted) = office.before_the_on_sale(
        lambda concert: (office.order(concert), office.counts(concert))
    )
    refusal = problem(refused, 409, "not-on-sale")
    assert abs(when(refusal["onSaleAt"]) - opening) < timedelta(seconds=0.001)
    assert counted[0] == 100
    answer = office.until(lambda: office.order(concert), lambda answer: answer.status_code == 201)
    assert datetime.now(UTC) >= opening
    assert answer.json()["status"] == "Reserved"


def test_one_order_has_so_many_tickets_at_most(office: BoxOffice) -> None:
    usual, strict = office.put_on()["id"], office.put_on(maxPerOrder=2)["id"]
    for concert, limit in ((usual, 8), (strict, 2)):
        refusal = problem(office.order(concert, quantity=limit + 1), 422, "over-the-limit")
        assert refusal["errors"][0]["field"] == "quantity"
        assert refusal["limit"] == limit
        assert office.buy(concert, quantity=limit)["quantity"] == limit


class TestSections:
    @pytest.fixture
    def concert(self, office: BoxOffice) -> str:
        sections = [
            {"id": "stalls", "name": "Stalls", "totalSeats": 4, "price": {"amount": 6000, "currency": "EUR"}},
            {"id": "balcony", "totalSeats": 6, "price": {"amount": 2500, "currency": "EUR"}},
        ]
        id: str = office.put_on(sections=sections)["id"]
        return id

    def test_a_concert_is_the_sum_of_its_sections(self, office: BoxOffice, concert: str) -> None:
        seen = office.concert(concert)
        assert (seen["totalSeats"], seen["availableSeats"]) == (10, 10)
        assert (seen["priceFrom"], seen["price"]) == ({"amount": 2500, "currency": "EUR"}, None)
        assert [(each["id"], each["name"], each["totalSeats"]) for each in seen["sections"]] == [
            ("stalls", "Stalls", 4),
            ("balcony", "balcony", 6),
        ]

    def test_an_order_gets_the_section_that_it_names_at_its_price(self, office: BoxOffice, concert: str) -> None:
        order = office.buy(concert, quantity=2, section="balcony")
        assert (order["section"], order["total"]["amount"]) == ("balcony", 5000)
        office.end(order, "Paid")
        assert [each["availableSeats"] for each in office.concert(concert)["sections"]] == [4, 4]

    def test_without_a_name_it_gets_the_cheapest_with_room_for_all_of_it(self, office: BoxOffice, concert: str) -> None:
        assert office.buy(concert, quantity=5)["section"] == "balcony"
        assert office.buy(concert, quantity=2)["section"] == "stalls"
        assert office.buy(concert, quantity=1)["section"] == "balcony"
        refusal = problem(office.order(concert, quantity=3), 409, "seats-unavailable")
        assert (refusal["left"], refusal["section"]) == (2, "stalls")

    def test_a_section_that_is_full_is_full_though_others_are_not(self, office: BoxOffice, concert: str) -> None:
        office.buy(concert, quantity=4, section="stalls")
        assert problem(office.order(concert, quantity=1, section="stalls"), 409, "seats-unavailable")["left"] == 0

    def test_a_section_that_is_not_there_is_named(self, office: BoxOffice, concert: str) -> None:
        refusal = problem(office.order(concert, section="pit"), 422, "section-not-found")
        assert refusal["errors"][0]["field"] == "section"


def test_a_concert_that_is_not_there_can_not_be_ordered(office: BoxOffice) -> None:
    problem(office.order(fresh("concert")), 404, "concert-not-found")
    problem(office.http.get(f"/concerts/{fresh('concert')}"), 404, "concert-not-found")


def test_a_buyer_whom_nothing_can_be_sent_to_is_told_in_the_log(office: BoxOffice) -> None:
    concert = office.put_on()["id"]
    order = office.buy(concert)
    (note,) = office.told(order, "confirmation")
    assert (note["channel"], note["status"]) == ("log", "Logged")
    order = office.buy(concert, phone="+49 30 901820")
    (note,) = office.told(order, "confirmation")
    assert (note["channel"], note["status"]) == ("log", "Logged")


def test_any_text_is_a_name(office: BoxOffice) -> None:
    artist = "Zoë & the 🎫s — «ñ» عمر"
    concert = office.put_on(artist=artist, venue="x" * 200)["id"]
    assert office.concert(concert)["artist"] == artist
    assert office.buy(concert, userId="Zoë 🎫")["userId"] == "Zoë 🎫"


class TestReserving:
    """The organizer holds seats without an order: for a telephone sale, for guests."""

    def test_seats_are_held_and_can_be_had_by_nobody_else(self, office: BoxOffice) -> None:
        concert = office.put_on(seats=5)["id"]
        body = {"quantity": 4}
        answer = office.http.post(f"/concerts/{concert}/reserve", json=body, headers=office.organizer)
        held = answer.json()
        assert answer.status_code == 201
        assert {name: held[name] for name in ("concertId", "section", "quantity", "status")} == {
            "concertId": concert,
            "section": "general",
            "quantity": 4,
            "status": "Held",
        }
        assert when(held["expiresAt"]) > datetime.now(UTC)
        assert office.counts(concert) == (1, 4, 0)
        again = office.http.post(f"/concerts/{concert}/reserve", json=body, headers=office.organizer)
        assert problem(again, 409, "seats-unavailable")["left"] == 1

    def test_the_same_order_holds_once_and_others_for_themselves(self, office: BoxOffice) -> None:
        concert = office.put_on(seats=10)["id"]

        def reserve(**body: object) -> str:
            answer = office.http.post(
                f"/concerts/{concert}/reserve", json={"quantity": 2} | body, headers=office.organizer
            )
            assert answer.status_code == 201, answer.text
            id: str = answer.json()["id"]
            return id

        assert reserve(orderId="sale-7") == reserve(orderId="sale-7")
        assert len({reserve(orderId="sale-7"), reserve(orderId="order-7"), reserve(), reserve()}) == 4
        assert office.counts(concert) == (2, 8, 0)


def test_what_is_charged_is_what_was_shown(office: BoxOffice) -> None:
    euros = {"currency": "EUR"}
    sections = [
        {"id": "guests", "totalSeats": 5, "price": {"amount": 0} | euros},
        {"id": "floor", "totalSeats": 5, "price": {"amount": 6_500} | euros},
        {"id": "upper", "totalSeats": 2, "price": {"amount": 3_900} | euros},
    ]
    concert = office.put_on(sections=sections)
    shown, charged = [], []
    for _ in range(3):
        shown.append(office.concert(concert["id"])["priceFrom"])
        charged.append(office.buy(concert["id"], quantity=1)["total"])
    assert shown == charged == [{"amount": cents} | euros for cents in (3_900, 3_900, 6_500)]
    refused = problem(office.order(concert["id"], quantity=1, maxPrice=shown[0]), 409, "price-too-high")
    assert refused["priceFrom"] == shown[2]
    problem(
        office.order(concert["id"], quantity=1, maxPrice={"amount": 9_900, "currency": "USD"}), 422, "other-currency"
    )


def test_an_order_gets_the_cheapest_section_with_room_for_all_of_it(office: BoxOffice) -> None:
    sections = [
        {"id": "few", "totalSeats": 1, "price": {"amount": 1_000, "currency": "EUR"}},
        {"id": "many", "totalSeats": 9, "price": {"amount": 2_000, "currency": "EUR"}},
    ]
    concert = office.put_on(sections=sections)["id"]
    assert office.buy(concert, quantity=2)["section"] == "many"
    assert office.buy(concert, quantity=1)["section"] == "few"


def test_held_out_is_told_from_sold_out(office: BoxOffice) -> None:
    concert = office.put_on(seats=2)["id"]
    reserved = office.http.post(f"/concerts/{concert}/reserve", json={"quantity": 2}, headers=office.organizer)
    assert reserved.status_code == 201
    held = problem(office.order(concert, quantity=1), 409, "seats-unavailable")
    assert (held["section"], held["left"], held["held"]) == ("general", 0, 2)
    assert when(held["heldUntil"]) == when(office.concert(concert)["sections"][0]["heldUntil"])
    sold_out = office.put_on(seats=2)["id"]
    office.end(office.buy(sold_out), "Paid")
    refused = problem(office.order(sold_out, quantity=1), 409, "seats-unavailable")
    assert (refused["held"], "heldUntil" in refused) == (0, False)

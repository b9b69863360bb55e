"""What is sold at the box office: paid without the provider, by the same seats and prices as all orders."""

from typing import Any

import httpx
from tests.proof.journeys.box_office import BoxOffice, Json, fresh, problem


def sell(
    office: BoxOffice, concert: str, *, by: Json | None = None, key: str | None = None, **more: Any
) -> httpx.Response:
    headers = (by or office.organizer) | ({} if key is None else {"idempotency-key": key})
    body: Json = {"concertId": concert, "quantity": 2, "method": "cash"} | more
    return office.http.post("/orders/box-office", json=body, headers=headers)


def sold(office: BoxOffice, concert: str, **more: Any) -> Json:
    answer = sell(office, concert, **more)
    assert answer.status_code == 201, answer.text
    order: Json = answer.json()
    office.end(order, "Paid")
    return order


def test_cash_is_taken_and_given_back_without_the_provider(office: BoxOffice) -> None:
    concert = office.put_on(seats=20, maxPerOrder=4, maxPerBuyer=2)["id"]
    key = fresh("key")
    order = sold(office, concert, quantity=6, key=key)
    assert sell(office, concert, quantity=6, key=key).json() == order
    assert office.counts(concert) == (14, 0, 6)
    payment = office.payment(order)
    taken = (payment["status"], payment["method"], payment["attempts"], payment["boxOffice"]["method"])
    assert taken == ("Completed", "cash", [], "cash")
    assert office.look(order)["boxOffice"] == {"method": "cash"}, "who sold it is for organizers"
    assert [note["status"] for note in office.told(order, "confirmation")] == ["Logged"], "nobody is told anything"
    refund = {"quantity": 2}
    office.http.post(f"/orders/{order['id']}/refunds", json=refund, headers=office.organizer).raise_for_status()
    office.until(lambda: office.look(order)["refunds"], lambda seen: seen[0]["status"] == "Completed")
    office.cancel(order, by=office.organizer)
    story = office.story(order, "PaymentCompleted", "PartRefunded", "PaymentRefunded")
    told = {event["eventType"]: event["payload"] for event in story}
    seller = told["PaymentCompleted"]["till"]["seller"]
    assert told["PaymentRefunded"]["till"] == {"method": "cash", "seller": seller}
    assert told["PartRefunded"]["part"]["seller"] == seller
    assert told["PaymentRefunded"]["amount"]["amount"] == 4 * 4500
    office.until(lambda: office.counts(concert), lambda counted: counted == (20, 0, 0))


def test_complimentary_tickets_cost_nothing_and_say_why_to_the_organizer_alone(office: BoxOffice) -> None:
    pricing = {
        "fees": [{"id": "f", "name": "Fee", "amount": 100, "perOrder": True}],
        "tax": {"name": "VAT", "percent": 19.0},
    }
    concert = office.put_on(seats=20, pricing=pricing)["id"]
    wrong = problem(sell(office, concert, method="complimentary"), 422, "invalid")
    assert [each["field"] for each in wrong["errors"]] == ["reason"]
    wrong = problem(sell(office, concert, receipt="R-1", reason="Press"), 422, "invalid")
    assert [each["field"] for each in wrong["errors"]] == ["reason", "receipt"]
    order = sold(office, concert, method="complimentary", reason="Press", email="p@example.org")
    seen = office.get(f"/orders/{order['id']}")
    bill = seen["bill"]
    assert (seen["total"]["amount"], bill["complimentary"], bill["discount"], bill["total"]) == (0, True, 9000, 0)
    assert seen["boxOffice"]["reason"] == "Press"
    office.told(order, "confirmation")
    assert "reason" not in office.look(order)["boxOffice"]
    assert "Press" not in str(office.story(order, "OrderPaid"))


def test_the_terminal_sells_before_the_sale_if_it_is_said_and_never_too_many(office: BoxOffice) -> None:
    concert = office.put_on(seats=3, onSaleAt="2098-01-01T00:00:00Z")["id"]
    problem(sell(office, concert), 409, "not-on-sale")
    terminal: Json = {"method": "terminal", "receipt": "A-17/3", "anyTime": True}
    order = sold(office, concert, **terminal)
    assert office.get(f"/orders/{order['id']}")["boxOffice"]["receipt"] == "A-17/3"
    problem(sell(office, concert, **terminal), 409, "seats-unavailable")
    problem(sell(office, concert, quantity=501, anyTime=True), 422, "invalid")
    problem(sell(office, fresh("concert")), 404, "concert-not-found")
    over = office.put_on(seats=3, date="2020-01-01")["id"]
    problem(sell(office, over, anyTime=True), 409, "concert-over")
    problem(sell(office, over, by={"authorization": "Bearer no"}), 401, "unauthorized")


def test_reports_tell_channels_apart_and_what_is_in_the_till(office: BoxOffice) -> None:
    concert = office.put_on(seats=20)["id"]
    online = office.buy(concert, quantity=1)
    office.end(online, "Paid")
    cash = sold(office, concert, quantity=3)
    sold(office, concert, method="complimentary", reason="Press")
    refund = {"quantity": 1}
    office.http.post(f"/orders/{cash['id']}/refunds", json=refund, headers=office.organizer).raise_for_status()
    office.until(lambda: office.look(cash)["refunds"], lambda seen: seen[0]["status"] == "Completed")
    query = {"concertId": concert, "by": "channel"}
    report = office.get("/orders/reports/sales", **query)
    sums = {each["channel"]: (each["tickets"], each["net"]["amount"]) for each in report["items"]}
    assert sums == {"online": (1, 4500), "box-office": (3, 9000), "complimentary": (2, 0)}
    (till,) = office.get("/orders/reports/till", concertId=concert)["items"]
    money = (till["taken"]["amount"], till["givenBack"]["amount"], till["net"]["amount"])
    assert (till["method"], till["sales"], money) == ("cash", 1, (13_500, 4500, 9000))
    file = office.http.get(f"/orders/reports/till?concertId={concert}&format=csv", headers=office.organizer)
    assert file.text.splitlines()[0].endswith(
        '"concertId","seller","day","method","currency","sales","taken","givenBack","net"'
    )


def test_guests_of_a_file_have_tickets_in_their_names_once(office: BoxOffice) -> None:
    concert = office.put_on(seats=5, onSaleAt="2098-01-01T00:00:00Z")["id"]

    def imported(text: str, *, preview: bool = False) -> Json:
        body = {"concertId": concert, "csv": text, "preview": preview}
        answer = office.http.post("/orders/guests", json=body, headers=office.organizer)
        assert answer.status_code == 200, answer.text
        told: Json = answer.json()
        return told

    file = "name,tickets,note\nAnn Bee,2,Press\nBo Cee,1,\nBo Cee,1,\n"
    wrong = office.http.post(
        "/orders/guests", json={"concertId": concert, "csv": file + "X,99,"}, headers=office.organizer
    )
    assert problem(wrong, 422, "invalid")["errors"][0]["field"] == "csv line 5"
    assert office.counts(concert) == (5, 0, 0)
    looked = imported(file, preview=True)
    assert (looked["added"], looked["there"], [each["id"] for each in looked["items"]]) == (3, 0, [None] * 3)
    assert office.counts(concert) == (5, 0, 0)
    first = imported(file)
    assert (first["added"], first["there"]) == (3, 0)
    more = file + "Eff,1,\nDee Eff,4,\n"
    assert imported(more, preview=True)["there"] == 3
    none = office.http.post("/orders/guests", json={"concertId": concert, "csv": more}, headers=office.organizer)
    refused = problem(none, 409, "guests-refused")["errors"]
    assert ([each["field"] for each in refused], "Eff" in none.text) == (["csv line 6"], False)
    assert office.counts(concert)[0] == 1  # what was held for the others of them is back
    again = imported(file)
    assert (again["added"], again["there"]) == (0, 3)
    listed = office.listed("/orders/guests", concertId=concert)
    assert sorted((each["name"], each["tickets"]) for each in listed) == [("Ann Bee", 2), ("Bo Cee", 1), ("Bo Cee", 1)]
    (ann,) = office.listed("/orders/guests", concertId=concert, search="press")

    def tickets() -> list[Json]:
        answer = office.http.get("/tickets", params={"order": ann["id"]}, headers=office.organizer)
        found: list[Json] = answer.json()["items"] if answer.status_code == 200 else []
        return found

    assert [each["holder"] for each in office.until(tickets, bool)] == ["Ann Bee", "Ann Bee"]
    assert "Ann Bee" not in str(office.story(ann, "TicketIssued"))
    removed = office.http.post(f"/orders/guests/{ann['id']}/remove", headers=office.organizer).json()
    assert removed["status"] == "Cancelled"
    office.until(tickets, lambda found: all(each["status"] == "Revoked" for each in found))
    assert ann["id"] not in [each["id"] for each in office.listed("/orders/guests", concertId=concert)]
    office.until(lambda: office.counts(concert), lambda counted: counted[0] == 3)
    assert imported("name,tickets,note\nAnn Bee,2,Press\n")["added"] == 1

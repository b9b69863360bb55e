"""Seats are chosen by number over plain HTTP, as a browser without scripts does it; and what the map says."""

import re
import time
from collections.abc import Iterator
from html import unescape

import httpx
import msgspec
import pytest
from tests.served import Served, serve

from cludale.pages.shop.halls import Plan, places, rows_of
from cludale.pages.shop.seat_map import drawn

HASTE = {"CLUDALE_SWEEP_SECONDS": "0.1"}
PAGE_BYTES = 30_000
SCRIPT_BYTES = 15_000


def table(rows: int, seats: int, section: str = "Stalls", *, apart: int = 0) -> str:
    """A plan as CSV; the first `apart` seats of the last row are for wheelchairs."""
    lines = ["section,row,seat,x,y,category,flags"]
    for row in range(rows):
        for seat in range(seats):
            flags = "wheelchair" if row == rows - 1 and seat < apart else "restricted view" if not seat else ""
            lines.append(f"{section},{row + 1},{seat + 1},{seat * 10},{row * 12},Stalls,{flags}")
    return "\n".join(lines)


def put_on(shop: Served, id: str, plan: str, **more: object) -> None:
    section = {"id": "stalls", "name": "Stalls", "zone": "Stalls", "price": {"amount": 4500, "currency": "EUR"}}
    standing = {"id": "floor", "name": "Floor", "totalSeats": 9, "price": {"amount": 2000, "currency": "EUR"}}
    body = {"id": id, "artist": "Ada", "date": "2099-06-05", "seatPlan": plan, "sections": [section, standing], **more}
    answer = shop.http.post("/concerts", json=body, headers=shop.organizer)
    assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("shop"), settings=HASTE) as served:
        put_on(served, "hall", table(4, 6, apart=2), maxPerOrder=4)
        yield served


@pytest.fixture
def buyer(shop: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shop.url, follow_redirects=True, timeout=20) as client:
        yield client


CHOOSE = "/shop/concerts/hall/choose"
CHECKOUT = "/shop/concerts/hall/checkout"


def offered(page: httpx.Response) -> list[int]:
    return [int(each) for each in re.findall(r'name="seat" value="(\d+)"', page.text)]


def ticked(page: httpx.Response) -> list[int]:
    return [int(each) for each in re.findall(r'name="seat" value="(\d+)" checked', page.text)]


def details(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the checkout's form."""
    form = page.text.partition('method="post"')[2].partition("</form>")[0]
    assert form, page.text
    hidden = re.findall(r'type="hidden" name="([\w-]+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in hidden} | {"email": "ada@example.com", "card": "card-ok"}


def order_seats(shop: Served, concert: str, seats: list[str]) -> None:
    body = {"concertId": concert, "userId": "eve", "section": "stalls", "seats": seats, "email": "eve@example.com"}
    answer = shop.http.post("/orders", json=body, headers={"idempotency-key": f"eve-{seats[0]}"})
    assert answer.status_code == 201, answer.text


def test_seats_are_chosen_and_bought_and_who_is_too_late_chooses_again(shop: Served, buyer: httpx.Client) -> None:
    assert f'href="{CHOOSE}?section=stalls"' in buyer.get("/shop/concerts/hall").text
    assert "section=floor" not in buyer.get("/shop/concerts/hall").text
    page = buyer.get(f"{CHOOSE}?section=stalls")
    assert offered(page) == [*range(18), 20, 21, 22, 23]
    assert "restricted view" in page.text
    # as a form sends it
    page = buyer.get(f"{CHOOSE}?section=stalls&seat=7&seat=8&buy=1")
    assert page.url.path == CHECKOUT
    assert "2 2, 3" in page.text
    order_seats(shop, "hall", ["Stalls-2-3"])
    late = buyer.post(CHECKOUT, data={**details(page), "email": "late@example.com", "phone": "+43 660 1"})
    assert late.status_code == 409
    assert "Others were faster with these seats: 2 3." in unescape(late.text)
    again = re.search(rf'href="({CHOOSE}\?[^"]+)"', late.text)
    assert again
    page = buyer.get(unescape(again[1]))
    assert ticked(page) == [7]
    assert 8 not in offered(page)
    assert "<strong>2 3</strong>" in page.text
    page = buyer.get(f"{CHOOSE}?section=stalls&seat=7&seat=6&buy=1")
    assert 'value="late@example.com"' in page.text
    assert 'value="+43 660 1"' in page.text
    bought = buyer.post(CHECKOUT, data=details(page) | {"email": "late@example.com"})
    assert bought.status_code == 200
    assert bought.url.path.startswith("/shop/orders/")
    listed = shop.http.get("/orders?concertId=hall", headers=shop.organizer).json()["items"]
    named = [[seat["id"] for seat in each["seats"]] for each in listed]
    assert ["Stalls-2-1", "Stalls-2-2"] in named
    assert "typed" not in buyer.cookies


def test_too_many_none_and_a_wheelchair_place(shop: Served, buyer: httpx.Client) -> None:
    page = buyer.get(f"{CHOOSE}?section=stalls&buy=1")
    assert page.status_code == 422
    assert "Tick the seats" in page.text
    page = buyer.get(f"{CHOOSE}?section=stalls&" + "".join(f"seat={at}&" for at in range(5)) + "buy=1")
    assert page.status_code == 422
    assert "at most 4 seats" in page.text
    assert ticked(page) == [0, 1, 2, 3, 4]
    page = buyer.get(f"{CHOOSE}?section=stalls&seat=17&go=accessible")
    assert {18, 19} <= set(offered(page))
    assert ticked(page) == [17]
    assert "wheelchair place" in page.text
    page = buyer.get(f"{CHOOSE}?section=stalls&seat=18&seat=20&accessible=1&buy=1")
    assert buyer.post(CHECKOUT, data=details(page)).url.path.startswith("/shop/orders/")


@pytest.mark.parametrize(
    "query", ["section=floor", "section=none", "", "section=stalls&seats=1.x", "section=stalls&rows=99"]
)
def test_what_makes_no_sense_breaks_nothing(buyer: httpx.Client, query: str) -> None:
    assert buyer.get(f"{CHOOSE}?{query}").status_code == 200
    assert buyer.get(f"{CHECKOUT}?{query}").status_code == 200
    assert buyer.get(f"{CHECKOUT}?section=stalls&seats=99999").url.path == "/shop/concerts/hall"


def test_tickets_of_another_price_are_counted_among_the_seats(shop: Served, buyer: httpx.Client) -> None:
    pricing = {
        "categories": [{"id": id, "name": id.capitalize()} for id in ("adult", "child")],
        "prices": [{"section": "stalls", "category": "child", "amount": 2000}],
    }
    put_on(shop, "priced", table(2, 5), pricing=pricing)
    at = "/shop/concerts/priced"
    page = buyer.get(f"{at}/choose?section=stalls&seat=3&tickets-child=2&buy=1")
    assert page.status_code == 422
    page = buyer.get(f"{at}/choose?section=stalls&seat=3&seat=4&seat=5&tickets-child=1&buy=1")
    sent = details(page)
    assert (sent["total"], sent["tickets-adult"], sent["tickets-child"]) == ("11000", "2", "1")
    assert buyer.post(f"{at}/checkout", data=sent).url.path.startswith("/shop/orders/")


def test_a_large_section_comes_by_rows_and_the_choice_is_kept(shop: Served, buyer: httpx.Client) -> None:
    put_on(shop, "arena", table(60, 50))
    at = "/shop/concerts/arena/choose?section=stalls"
    raw = httpx.get(f"{shop.url}{at}", headers={"accept-encoding": "gzip"})
    assert len(offered(raw)) == 1_000
    assert int(raw.headers["content-length"]) < PAGE_BYTES
    page = buyer.get(f"{at}&seat=7&seat=8&go=3")
    assert ticked(page) == [7, 8]
    assert "Your seats in other rows" in page.text
    assert 2_000 in offered(page)
    german = buyer.get(f"{page.url}&lang=de")
    assert ticked(german) == [7, 8]
    drawing = re.search(r'data-map="([^"]+)"', page.text)
    assert drawing
    svg = buyer.get(unescape(drawing[1]))
    assert svg.text.count("<use ") == 3_000
    assert "immutable" in svg.headers["cache-control"]
    assert buyer.get(unescape(drawing[1])[:-1]).status_code == 404
    scripts = re.findall(r'<script src="([^"]+)"', page.text)
    assert sum(len(buyer.get(each).content) for each in scripts) < SCRIPT_BYTES


def test_what_an_organizer_calls_a_row_draws_nothing_else() -> None:
    seat = {"seat_guid": "s1", "seat_number": '"/><script>', "position": {"x": 0, "y": 0}, "category": "A [companion]"}
    zone = {"name": "Z", "position": {"x": 0, "y": 0}, "rows": [{"row_number": "<b>", "seats": [seat]}]}
    plan = msgspec.convert({"zones": [zone], "size": {"width": 10, "height": 10}}, Plan)
    rows = rows_of(plan.zones[0])
    assert rows[0].seats[0].is_accessible
    svg = drawn(plan, plan.zones[0], rows)
    assert "<script>" not in svg
    assert "<b>" not in svg
    assert places("3.1.1") == [1, 3]
    assert places("1.x") is None


def test_seats_that_were_chosen_by_another_plan_are_chosen_again(shop: Served, buyer: httpx.Client) -> None:
    put_on(shop, "changing", table(2, 6))
    choose = "/shop/concerts/changing/choose"
    page = buyer.get(choose, params={"section": "stalls"})
    (plan,) = re.findall(r'name="plan" value="(\w+)"', page.text)
    chosen = {"section": "stalls", "seats": "2.3", "plan": plan}
    assert ticked(buyer.get(choose, params=chosen)) == [2, 3]
    without = "\n".join(line for line in table(2, 6).splitlines() if not line.startswith("Stalls,1,1,"))
    headers = {**shop.organizer, "if-match": "*"}
    assert shop.http.patch("/concerts/changing", json={"seatPlan": without}, headers=headers).status_code == 200
    time.sleep(1.1)  # pages know a concert for a second
    again = buyer.get(choose, params=chosen)
    assert (again.status_code, ticked(again)) == (422, [])
    assert "The hall was changed meanwhile" in again.text
    gone = buyer.get("/shop/concerts/changing/checkout", params={**chosen, "quantity": "2"})
    assert gone.url.path == "/shop/concerts/changing", "nobody buys seats that were not meant"


def test_seats_go_into_the_basket_by_their_numbers(shop: Served, buyer: httpx.Client) -> None:
    put_on(shop, "basketed", table(2, 6))
    chosen = buyer.get("/shop/concerts/basketed/choose?section=stalls&seat=0&seat=1&basket=1")
    assert (chosen.status_code, chosen.url.path) == (200, "/shop/basket"), chosen.text
    buyer.get("/shop/concerts/basketed/basket?section=floor&quantity=1")
    page = buyer.get("/shop/basket").text
    assert ("90" in page, "Row 1" in page or "1" in page) == (True, True)
    fields = dict(re.findall(r'name="(csrf|key|total-\d)" value="([^"]*)"', page))
    bought = buyer.post("/shop/basket/buy", data={**fields, "email": "a@example.org", "card": "card-ok"})
    assert bought.url.path.startswith("/shop/carts/"), bought.text
    orders = shop.http.get("/orders?concertId=basketed", headers=shop.organizer).json()["items"]
    assert sorted(len(each.get("seats", [])) for each in orders) == [0, 2]
    assert [seat["id"] for each in orders for seat in each.get("seats", [])] == ["Stalls-1-1", "Stalls-1-2"]

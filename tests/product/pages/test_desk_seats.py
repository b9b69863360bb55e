"""Numbered seats at the desk, over plain HTTP without scripts: plans brought and changed, seats sold by their names."""

import re
from collections.abc import Iterator
from time import sleep

import pytest
from tests.product.pages.staffed import Staff
from tests.product.pages.test_shop_seats import put_on, table
from tests.served import Served, serve

from cludale.pages.seat_names import NoSuchSeats, SeatNames
from cludale.pages.shop.halls import Row, Seat


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("seats"), settings={"CLUDALE_SWEEP_SECONDS": "0.1"}) as served:
        put_on(served, "hall", table(3, 6, apart=2))
        yield served


def brought(staff: Staff, at: str, text: str) -> str:
    """The page that shows a plan that was sent as a file."""
    token = re.search(r'name="csrf" value="([^"]+)"', staff.get(at).text)
    assert token is not None
    files = {"file": ("hall.csv", text.encode("utf-8-sig"), "text/csv")}
    return staff.http.post(at, data={"csrf": token[1]}, files=files).text


def test_a_plan_is_brought_looked_at_and_a_concert_is_made_with_it(shop: Served, staff: Staff) -> None:
    at = "/staff/new-seat-plan"
    assert at in staff.get("/staff/new-concert").text
    wrong = brought(staff, at, "section,row,seat,x,y,category,flags\nStalls,1,1,ten,0,A,\n<i>,1,2,1,0,,ramp\n")
    for text in ("line 2: x has to be a number", "line 3: category is empty", "no flag"):
        assert text in wrong, text
    assert "Fill this in" in staff.send(at, at).text
    assert "JSON:" in staff.send(at, at, text="{broken").text
    seen = brought(staff, at, table(4, 5, "Pit", apart=1) + "\n<b>Gallery,1,1,0,90,<b>Gold,")
    assert ("&lt;b&gt;Gold" in seen, "<b>Gold" in seen) == (True, False)
    (digest,) = set(re.findall(r"seat-plan-map\?digest=(\w{64})", seen))
    picture = staff.get(f"/staff/seat-plan-map?digest={digest}")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.text.count("<circle") + picture.text.count("<rect") == 21 + 1
    assert "immutable" in picture.headers["cache-control"]
    form = staff.get(f"/staff/new-concert?plan={digest}").text
    assert ('value="Pit"' in form, 'value="20" readonly' in form) == (True, True)
    sent = {"artist": "Ada", "date": "2099-06-05", "status": "listed", "currency": "EUR", "id": "made"}
    made = staff.again(
        "/staff/new-concert",
        form.partition("<main")[2],
        **sent,
        **{"section-0-price": "45", "section-1-name": "<b>Gallery"},
    )
    assert made.headers["location"] == "/staff/concerts/made", made.text
    concert = shop.http.get("/concerts/made").json()
    assert (concert["seatPlan"], [each["zone"] for each in concert["sections"]]) == (digest, ["Pit", "<b>Gallery"])
    copy = staff.get("/staff/new-concert?like=made").text
    assert f'name="plan" value="{digest}"' in copy


def test_a_plan_is_changed_once_it_was_looked_at_and_what_is_sold_stays(shop: Served, staff: Staff) -> None:
    put_on(shop, "change", table(3, 6))
    at = "/staff/concerts/change/seat-plan"
    assert at in staff.get("/staff/concerts/change").text
    assert "18 seats" in staff.get(at).text
    shop.http.post("/orders", json={"concertId": "change", "userId": "u", "seats": ["Stalls-1-1"]}).raise_for_status()
    lines = table(3, 6).splitlines()
    seen = brought(staff, at, "\n".join(line for line in lines if not line.startswith("Stalls,1,1,")))
    assert ("Is this the hall?" in seen, "17 seats" in seen) == (True, True)
    kept = staff.again(at, seen.partition("<main")[2])
    assert (kept.status_code, re.search("Stalls-1-1: (held|sold)", kept.text) is not None) == (422, True)
    seen = brought(staff, at, "\n".join([*lines, "Stalls,4,1,0,50,Stalls,"]))
    assert staff.again(at, seen.partition("<main")[2]).headers["location"] == at
    assert "19 seats" in staff.get(at).text
    late = staff.again(at, seen.partition("<main")[2])
    assert (late.status_code, "Somebody changed this concert meanwhile" in late.text) == (412, True)
    shop.concert("standing", seats=5)
    assert "have no numbers" in staff.get("/staff/concerts/standing/seat-plan").text


def test_the_box_office_sells_seats_by_their_names(shop: Served, staff: Staff) -> None:
    at = "/staff/concerts/hall/box-office"
    page = staff.get(at).text
    assert "<dt>1</dt><dd>1-6</dd>" in page
    assert "Wheelchair places and those beside them: 3 1-2" in page
    for text, word in (("9 1", "“9 1” begins with no row"), ("1 2-9", "no seat 1 9"), ("1 1-2", "not as many seats")):
        refused = staff.send(at, at, method="cash", seats=text, **({"quantity": "3"} if word.startswith("not") else {}))
        assert (refused.status_code, word in refused.text) == (422, True), text
    none = staff.send(at, at, method="cash", seats="1 1", section="floor")
    assert "have no numbers" in none.text
    sure = staff.send(at, at, method="cash", seats="1 2-3; 2 1").text
    assert ("1 2-3; 2 1" in sure, "€135.00" in sure) == (True, True)
    sold = staff.again(at, sure.partition("<main")[2]).text
    (order,) = set(re.findall(r'name="order" value="(order-[\w.-]+)"', sold))
    seats = shop.http.get(f"/orders/{order}", headers=shop.organizer).json()["seats"]
    assert [each["id"] for each in seats] == ["Stalls-1-2", "Stalls-1-3", "Stalls-2-1"]
    taken = staff.send(at, at, method="cash", seats="1 3").text
    again = staff.again(at, taken.partition("<main")[2])
    assert (again.status_code, "seats-wrong" in again.text, "not free" in again.text) == (422, True, True)
    wheelchair = staff.send(at, at, method="cash", seats="3 1").text
    assert "Take" in staff.again(at, wheelchair.partition("<main")[2]).text


def test_a_guest_gets_the_seats_that_are_named_or_the_best(shop: Served, staff: Staff) -> None:
    at = "/staff/concerts/hall/guests"
    assert "Put on the list: 1." in staff.send(at, f"{at}-new", name="Zoë", seats="3 5-6").text
    guests = shop.http.get("/orders/guests", params={"concertId": "hall"}, headers=shop.organizer).json()["items"]
    (zoe,) = [each for each in guests if each["name"] == "Zoë"]
    seats = shop.http.get(f"/orders/{zoe['id']}", headers=shop.organizer).json()["seats"]
    assert [each["id"] for each in seats] == ["Stalls-3-5", "Stalls-3-6"]
    assert "not as many seats" in staff.send(at, f"{at}-new", name="Bo", seats="2 5", tickets="2").text
    best = staff.send(at, f"{at}-new", name="Cy", tickets="2", section="stalls")
    assert "Put on the list: 1." in best.text


def test_a_file_of_guests_names_seats_as_they_are_typed(shop: Served, staff: Staff) -> None:
    put_on(shop, "file", table(3, 6, apart=2))
    at, to = "/staff/concerts/file/guests", "/staff/concerts/file/guests-file"
    wrong = staff.send(at, to, csv='name;seats\nAnn;"1 2-3; 2 1"\n"Bo\nCee";1 9\nCy;Z 1')
    assert (wrong.status_code, 'id="csv-wrong"' in wrong.text) == (422, True)
    assert ("Line 4: There is no seat 1 9." in without_blanks(wrong.text), "“Z 1”" in wrong.text) == (True, True)
    short = staff.send(at, to, csv="name;seats;note\nAnn;1 9;\nBo;1 1").text
    assert "line 3: has 2 cells, and there are 3 columns" in short
    twice = staff.send(at, to, csv='name;seats\nAnn;"1 2-3"\nCy;1 3')
    assert "line 3 seats: 1 3 is wanted twice in this file: line 2 has it, too" in twice.text
    buyer = {"concertId": "file", "userId": "u", "seats": ["Stalls-2-5"]}
    shop.http.post("/orders", json=buyer).raise_for_status()
    csv = 'name;seats\nAnn;"1 2-3; 2 1"\nBo;2 5'
    for _ in range(50):  # what is free is shown as it was a moment ago
        if "no seats</span> 2 5" in (seen := staff.send(at, to, csv=csv).text):
            break
        sleep(0.05)
    assert ("1 2, 3; 2 1" in seen, "no seats</span> 2 5" in seen) == (True, True)
    lost = staff.again(to, seen.partition("<main")[2], sure="1", csv="name;seats\nBo;2 5")
    assert (lost.status_code, "line 2: " in lost.text, "Stalls-2-5" in lost.text) == (422, True, False)
    done = staff.send(at, to, sure="1", csv='name;seats\nAnn;"1 2-3; 2 1"\nEve;3 1\nDee;')
    assert "Put on the list: 3." in done.text
    guests = shop.http.get("/orders/guests", params={"concertId": "file"}, headers=shop.organizer).json()["items"]
    orders = {each["name"]: shop.http.get(f"/orders/{each['id']}", headers=shop.organizer).json() for each in guests}
    seats = {name: [seat["id"] for seat in order.get("seats", ())] for name, order in orders.items()}
    assert (seats["Ann"], seats["Eve"]) == (["Stalls-1-2", "Stalls-1-3", "Stalls-2-1"], ["Stalls-3-1"])


def without_blanks(html: str) -> str:
    return " ".join(html.split())


ROWS = [
    Row("A", [Seat(at, f"a{at}", "A", str(at + 1), "", 0) for at in range(6)]),
    Row("A box", [Seat(6 + at, f"b{at}", "A box", number, "", 0) for at, number in enumerate(("1", "2-3", "4"))]),
    Row("1", [Seat(9 + at, f"c{at}", "1", str(at + 1), "", 0) for at in range(3)]),
    Row("2", [Seat(12 + at, f"d{at}", "2", str(at + 1), "", 0) for at in range(3)]),
]


@pytest.mark.parametrize(
    ("text", "seats"),
    [
        ("A 1", ["a0"]),
        ("a: 2,4", ["a1", "a3"]),
        ("A 5 \u2013 3 ; A box 4", ["a2", "a3", "a4", "b2"]),
        ("A box 2-3", ["b1"]),
        ("A 1; A 1-2", ["a0", "a1"]),
        ("A 1\nA 3 4", ["a0", "a2", "a3"]),
        ("A 1, a box 4", ["a0", "b2"]),
        ("A, 1, 2; A box: 1", ["a0", "a1", "b0"]),
        ("1 1, 1 2", ["c0", "c1"]),
        ("A 1 ; ; 1 1,", ["a0", "c0"]),
    ],
)
def test_seats_are_typed_as_they_are_shown(text: str, seats: list[str]) -> None:
    assert [each.id for each in SeatNames(ROWS).typed(text)] == seats


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no-seats"),
        (" ; ", "no-seats"),
        ("B 1", "no-row B 1"),
        ("AA 1", "no-row AA 1"),
        ("A 7", "no-seat A 7"),
        ("A 1, 7", "no-seat A 7"),
        ("A 1-9", "no-seat A 9"),
        ("A 2, A box 9", "no-seat A box 9"),
        ("A", "no-seat A"),
        ("A; A 1", "no-seat A"),
        ("1 1, 2 3", "unclear 2 3"),
    ],
)
def test_what_names_no_seats_is_refused_by_its_place(text: str, why: str) -> None:
    with pytest.raises(NoSuchSeats, match=f"^{why}$"):
        SeatNames(ROWS).typed(text)

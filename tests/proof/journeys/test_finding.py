"""Finding concerts and orders: searched, sorted, a page at a time."""

from typing import Any

import pytest
from tests.proof.journeys.box_office import BoxOffice, fresh, problem


@pytest.fixture(scope="module")
def mark(office: BoxOffice) -> str:
    """A word that only the concerts of this module have in their artist's name."""
    mark = fresh("Mark")
    for artist, venue, date in [
        ("Beta", "Old Mill", "2099-03-01"),
        ("alpha", "The Barn", "2099-02-01"),
        ("Gamma", None, "2099-01-01"),
        ("Ægir", "old barn", "2099-02-01T19:30:00Z"),
        ("100%", "The_Barn", "2099-04-01"),
    ]:
        office.put_on(artist=f"{artist} {mark}", venue=venue, date=date)
    return mark


def found(office: BoxOffice, mark: str, **query: Any) -> list[str]:
    items = office.get("/concerts", artist=mark, **query)["items"]
    return [item["artist"].removesuffix(f" {mark}") for item in items]


def test_by_date_the_earliest_first(office: BoxOffice, mark: str) -> None:
    earliest = ["Gamma", "alpha", "Ægir", "Beta", "100%"]
    assert found(office, mark) == found(office, mark, sort="date") == earliest
    assert found(office, mark, sort="-date") == earliest[::-1]


def test_by_artist_whatever_the_case(office: BoxOffice, mark: str) -> None:
    assert found(office, mark, sort="artist") == ["100%", "alpha", "Beta", "Gamma", "Ægir"]


def test_by_a_part_of_a_name_whatever_the_case(office: BoxOffice, mark: str) -> None:
    assert found(office, mark, venue="BARN") == ["alpha", "Ægir", "100%"]
    assert [item["artist"] for item in office.get("/concerts", artist=f"ÆGIR {mark}")["items"]] == [f"Ægir {mark}"]
    assert office.get("/concerts", artist=fresh("nobody")) == {"items": [], "next": None}


def test_what_is_sought_is_text_and_no_pattern(office: BoxOffice, mark: str) -> None:
    assert office.get("/concerts", artist=f"% {mark}")["items"][0]["artist"] == f"100% {mark}"
    assert found(office, mark, venue="the_barn") == ["100%"]
    assert found(office, mark, venue="'; DROP TABLE concerts_concert; --") == []


def test_between_dates_both_days_and_all_their_hours_count(office: BoxOffice, mark: str) -> None:
    assert found(office, mark, **{"from": "2099-02-01", "to": "2099-02-01"}) == ["alpha", "Ægir"]
    assert found(office, mark, **{"from": "2099-02-02"}) == ["Beta", "100%"]
    assert found(office, mark, to="2099-01-31") == ["Gamma"]
    assert found(office, mark, **{"from": "2099-02-01T20:00:00Z"}) == ["alpha", "Beta", "100%"]


@pytest.mark.parametrize(
    ("date", "day", "since", "until"),
    [
        ("2097-06-05T22:30:00-04:00", "2097-06-05", "2097-06-06T02:30:00Z", "2097-06-06T02:30:00Z"),
        ("2097-07-05T00:30:00+02:00", "2097-07-05", "2097-07-04T22:30:00Z", "2097-07-04T22:30:00Z"),
        ("2097-08-05", "2097-08-05", "2097-08-05T23:59:00Z", "2097-08-05T00:00:00Z"),
    ],
)
def test_a_concert_is_found_on_its_own_day_and_at_its_own_time(
    office: BoxOffice, date: str, day: str, since: str, until: str
) -> None:
    mark = fresh("Day")
    office.put_on(artist=f"Local {mark}", date=date)
    before, after = f"{day[:-1]}4", f"{day[:-1]}6"
    assert found(office, mark, **{"from": day, "to": day}) == ["Local"]
    assert found(office, mark, **{"from": after}) == found(office, mark, to=before) == []
    assert found(office, mark, **{"from": since}) == found(office, mark, to=until) == ["Local"]


def test_a_festival_is_found_on_each_of_its_days(office: BoxOffice) -> None:
    mark = fresh("Festival")
    office.put_on(artist=f"Long {mark}", date="2097-08-01T12:00:00-07:00", endsAt="2097-08-03")
    for day in ("2097-08-01", "2097-08-02", "2097-08-03"):
        assert found(office, mark, **{"from": day, "to": day}) == ["Long"]
    assert found(office, mark, **{"from": "2097-08-04T06:59:00Z"}) == ["Long"]
    assert found(office, mark, **{"from": "2097-08-04T07:00:00Z"}) == []
    assert found(office, mark, **{"from": "2097-08-04"}) == found(office, mark, to="2097-07-31") == []


def test_the_organizer_finds_what_is_not_listed_and_nobody_else_does(office: BoxOffice) -> None:
    mark = fresh("Secret")
    office.put_on(artist=f"Listed {mark}", date="2097-09-02")
    office.put_on(artist=f"Unlisted {mark}", date="2097-09-01", listed=False)
    assert found(office, mark) == ["Listed", "Unlisted"]
    assert found(office, mark, **{"from": "2097-09-01", "to": "2097-09-01"}) == ["Unlisted"]
    anyone = office.http.get("/concerts", params={"artist": mark}).json()["items"]
    assert [each["artist"] for each in anyone] == [f"Listed {mark}"]


def test_a_page_says_of_sections_how_many_there_are_and_a_concert_has_them(office: BoxOffice) -> None:
    mark = fresh("Sections")
    sections = [{"id": f"s{n}", "totalSeats": 2, "price": {"amount": 1000 - n, "currency": "EUR"}} for n in range(3)]
    concert = office.put_on(artist=f"Many {mark}", sections=sections)
    (item,) = office.get("/concerts", artist=mark)["items"]
    alone = {"sections", "description", "picture", "pricing", "seatPlan"}
    assert item == {name: value for name, value in concert.items() if name not in alone}
    assert (item["sectionCount"], item["priceFrom"]["amount"], item["price"]) == (3, 998, None)
    assert [each["id"] for each in concert["sections"]] == ["s0", "s1", "s2"]


def test_pages_follow_one_another_without_a_gap_or_a_double(office: BoxOffice, mark: str) -> None:
    for sort in ("date", "-date", "artist"):
        pages: list[str] = []
        after: dict[str, str] = {}
        while True:
            page = office.get("/concerts", artist=mark, sort=sort, limit=2, **after)
            assert len(page["items"]) <= 2
            pages += [item["id"] for item in page["items"]]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert len(set(pages)) == len(pages) == 5
        assert pages == [item["id"] for item in office.get("/concerts", artist=mark, sort=sort)["items"]]


def test_a_cursor_of_another_question_is_refused(office: BoxOffice, mark: str) -> None:
    following = office.get("/concerts", artist=mark, limit=2)["next"]
    answer = office.http.get("/concerts", params={"sort": "artist", "after": following})
    assert problem(answer, 422, "unusable-cursor")["errors"][0]["field"] == "after"


def test_orders_are_listed_by_concert_and_status(office: BoxOffice) -> None:
    concert = office.put_on(seats=20)["id"]
    paid = [office.buy(concert, quantity=1) for _ in range(3)]
    off = office.buy(concert, quantity=1)
    for order in paid:
        office.end(order, "Paid")
    office.cancel(off)
    listed = office.listed("/orders", concertId=concert)
    assert [each["id"] for each in listed] == [each["id"] for each in [*paid, off]]
    assert {each["id"] for each in office.listed("/orders", concertId=concert, status="Cancelled")} == {off["id"]}
    assert len(office.listed("/orders", concertId=concert, status="Paid")) == 3
    assert [each["id"] for each in office.listed("/orders", concertId=concert, limit=1)] == [
        each["id"] for each in listed
    ]


def test_a_page_has_fifty_items_unless_somebody_says_otherwise(office: BoxOffice) -> None:
    concert = office.put_on(seats=60)["id"]
    for _ in range(51):
        office.buy(concert, quantity=1)
    page = office.get("/orders", concertId=concert)
    assert (len(page["items"]), page["next"] is None) == (50, False)
    assert len(office.get("/orders", concertId=concert, after=page["next"])["items"]) == 1
    assert len(office.get("/orders", concertId=concert, limit=200)["items"]) == 51

"""Numbered seats over HTTP: a concert with a plan, orders that name seats or get the best, and what is free."""

import base64
import time

import httpx
import pytest
from tests.served import Served

ROWS = "ABC"
CSV = "section,row,seat,x,y,category,flags\n" + "\n".join(
    f"Stalls,{row},{seat},{seat * 10},{100 + at * 12},Stalls,{'wheelchair' if (row, seat) == ('C', 8) else ''}"
    for at, row in enumerate(ROWS)
    for seat in range(1, 9)
)
SECTIONS: list[dict[str, object]] = [
    {"id": "stalls", "name": "Stalls", "zone": "Stalls", "price": {"amount": 4500, "currency": "EUR"}},
    {"id": "lawn", "totalSeats": 50, "price": {"amount": 1500, "currency": "EUR"}},
]


def scheduled(served: Served, **fields: object) -> httpx.Response:
    body = {"artist": "The Larks", "date": "2027-06-05", "sections": SECTIONS, "seatPlan": CSV, **fields}
    return served.http.post("/concerts", json=body, headers=served.organizer)


@pytest.fixture(scope="module")
def concert(served: Served) -> dict[str, object]:
    answer = scheduled(served)
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


def ordered(served: Served, concert: dict[str, object], **fields: object) -> httpx.Response:
    return served.http.post("/orders", json={"concertId": concert["id"], "userId": "u", **fields})


def free(served: Served, concert: dict[str, object]) -> set[int]:
    bits = base64.b64decode(served.http.get(f"/concerts/{concert['id']}/seats").json()["sections"][0]["free"])
    return {place for place in range(24) if bits[place >> 3] >> (place & 7) & 1}


def test_a_concert_mixes_numbered_sections_and_such_by_quantity(served: Served, concert: dict[str, object]) -> None:
    stalls, lawn = served.http.get(f"/concerts/{concert['id']}").json()["sections"]
    assert (stalls["zone"], stalls["totalSeats"], stalls["accessibleSeats"]) == ("Stalls", 24, 1)
    assert (lawn["zone"], lawn["totalSeats"]) == (None, 50)


def test_an_order_names_its_seats_and_says_which_it_has(served: Served, concert: dict[str, object]) -> None:
    placed = ordered(served, concert, seats=["Stalls-B-1", "Stalls-B-2"])
    assert placed.status_code == 201, placed.text
    assert placed.json()["quantity"] == 2
    assert placed.json()["seats"] == [
        {"id": "Stalls-B-1", "row": "B", "number": "1"},
        {"id": "Stalls-B-2", "row": "B", "number": "2"},
    ]
    taken = ordered(served, concert, seats=["Stalls-B-2", "Stalls-B-3"])
    assert (taken.status_code, taken.json()["notFree"]) == (409, ["Stalls-B-2"])
    unknown = ordered(served, concert, seats=["Stalls-B-4", "Stalls-Q-9"])
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "seats[1]")
    assert ordered(served, concert, seats=["Stalls-B-4"], quantity=2).status_code == 422
    assert ordered(served, concert).status_code == 422


def test_who_wants_a_quantity_gets_the_best_together(served: Served, concert: dict[str, object]) -> None:
    seats = ordered(served, concert, quantity=2, section="stalls").json()["seats"]
    assert [(seat["row"], seat["number"]) for seat in seats] == [("A", "4"), ("A", "5")]
    assert "seats" not in ordered(served, concert, quantity=2, section="lawn").json()


def changed(served: Served, concert: dict[str, object], plan: object, tag: str = "*") -> httpx.Response:
    headers = {**served.organizer, "if-match": tag}
    return served.http.patch(f"/concerts/{concert['id']}", json={"seatPlan": plan}, headers=headers)


def test_a_plan_is_changed_and_shown_under_an_address_of_its_own(served: Served) -> None:
    concert = scheduled(served).json()
    before = served.http.get(f"/concerts/{concert['id']}/seats").json()["plan"]
    assert ordered(served, concert, seats=["Stalls-A-1"]).status_code == 201
    kept = changed(served, concert, CSV.replace("Stalls,A,1,10,100,Stalls,\n", ""))
    assert (kept.status_code, kept.json()["type"].rpartition("/")[2]) == (409, "seats-kept")
    assert kept.json()["seats"] == [{"id": "Stalls-A-1", "section": "stalls", "status": "held", "renamed": False}]
    wrong = changed(served, concert, CSV.replace("Stalls,A,1,10", "Stalls,A,1,ten"))
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "seatPlan")
    tag = served.http.get(f"/concerts/{concert['id']}").headers["etag"]
    done = changed(served, concert, CSV.replace("Stalls,A,2,20,100,Stalls,\n", "") + "\nStalls,D,1,10,140,Stalls,", tag)
    assert done.status_code == 200, done.text
    assert done.json()["sections"][0]["totalSeats"] == 24
    assert changed(served, concert, CSV, tag).status_code == 412
    time.sleep(0.3)  # what is shown may be a quarter of a second old
    seen = served.http.get(f"/concerts/{concert['id']}/seats").json()
    assert seen["plan"] == done.json()["seatPlan"] != before
    path = f"/concerts/{concert['id']}/seats/plan"
    plan = served.http.get(path, params={"digest": seen["plan"]}).json()
    ids = [seat["seat_guid"] for row in plan["zones"][0]["rows"] for seat in row["seats"]]
    bits = base64.b64decode(seen["sections"][0]["free"])
    assert [id for at, id in enumerate(ids) if not bits[at >> 3] >> (at & 7) & 1] == ["Stalls-A-1"]
    assert served.http.get(path, params={"digest": before}).status_code == 200, "who has it still may look at it"
    assert served.http.get(path, params={"digest": "0" * 64}).status_code == 404
    assert ordered(served, concert, seats=["Stalls-A-2"]).status_code == 422
    assert ordered(served, concert, seats=["Stalls-D-1"]).json()["seats"][0]["row"] == "D"


def test_a_plan_is_looked_over_before_there_is_a_concert(served: Served) -> None:
    checked = served.http.post("/concerts/-/seat-plans", json={"plan": CSV}, headers=served.organizer).json()
    assert checked["zones"] == [
        {"name": "Stalls", "rows": 3, "seats": 24, "wheelchair": 1, "companion": 0, "restrictedView": 0}
    ]
    assert checked["categories"] == [{"name": "Stalls", "seats": 24}]
    kept = served.http.get(f"/concerts/-/seat-plans/{checked['digest']}", headers=served.organizer)
    assert len(kept.json()["zones"][0]["rows"]) == 3
    concert = scheduled(served, seatPlan=checked["digest"])
    assert concert.json()["seatPlan"] == checked["digest"]
    wrong = served.http.post("/concerts/-/seat-plans", json={"plan": "section\nx"}, headers=served.organizer)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "plan")


def test_what_is_free_is_told_once_a_version(served: Served, concert: dict[str, object]) -> None:
    answer = served.http.get(f"/concerts/{concert['id']}/seats")
    again = served.http.get(f"/concerts/{concert['id']}/seats", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    plan = served.http.get(f"/concerts/{concert['id']}/seats/plan", params={"digest": answer.json()["plan"]})
    assert "immutable" in plan.headers["cache-control"]
    ids = [seat["seat_guid"] for row in plan.json()["zones"][0]["rows"] for seat in row["seats"]]
    assert len(free(served, concert)) < len(ids) == 24


def test_an_organizer_blocks_seats(served: Served, concert: dict[str, object]) -> None:
    path = f"/concerts/{concert['id']}/seats"
    wanted = {"seats": ["Stalls-C-1"], "reason": "Mixing desk"}
    assert served.http.post(f"{path}/block", json=wanted).status_code == 401
    blocked = served.http.post(f"{path}/block", json=wanted, headers=served.organizer)
    assert blocked.json()["items"] == [
        {"id": "Stalls-C-1", "section": "stalls", "row": "C", "number": "1", "reason": "Mixing desk"}
    ]
    assert ordered(served, concert, seats=["Stalls-C-1"]).json()["notFree"] == ["Stalls-C-1"]
    served.http.post(f"{path}/unblock", json={"seats": ["Stalls-C-1"]}, headers=served.organizer)
    assert served.http.get(f"{path}/blocked", headers=served.organizer).json() == {"items": []}
    assert ordered(served, concert, seats=["Stalls-C-1"]).status_code == 201


def test_a_plan_that_came_before_is_named_by_its_digest(served: Served, concert: dict[str, object]) -> None:
    assert scheduled(served, seatPlan=concert["seatPlan"]).status_code == 201
    missing = scheduled(served, seatPlan="0" * 64)
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (422, "seatPlan")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"seatPlan": CSV + "\nStalls,A,1,1,1,Stalls,"}, "seatPlan"),
        ({"seatPlan": {"name": "x"}}, "seatPlan"),
        ({"seatPlan": None}, "seatPlan"),
        ({"sections": [{**SECTIONS[0], "zone": "Nowhere"}]}, "sections[0].zone"),
        ({"sections": [{**SECTIONS[0], "totalSeats": 23}]}, "sections[0].totalSeats"),
        ({"sections": [{**SECTIONS[0], "zone": None}]}, "sections"),
    ],
)
def test_what_is_wrong_with_a_plan_is_named(served: Served, fields: dict[str, object], field: str) -> None:
    answer = scheduled(served, **fields)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field, answer.text

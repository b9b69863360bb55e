"""Personal data: nowhere in clear, whoever looks at the bytes; exported for who may; and gone once it is erased.

Addresses with distinctive bytes are planted in good and in bad requests. Then all that the platform has written or says
is searched: data folder (in the distributed shape the database's, the broker's and all logs are in it), standard error,
metrics, events, problems, and what went to a collector: traces, metrics and logs, those of the sidecars, too.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tests.operations.telemetry.receiver import Receiver, receiving
from tests.proof.journeys.box_office import BoxOffice, fresh, problem
from tests.proof.journeys.conftest import Running, Start, is_over_cosmos
from tests.served import environment
from tests.stored_log import packs_in

LOCAL, SHAPED = "qzxplanted", "qzxshaped"
NAME = "Qzxnamé Plänted"
PHONE = "+49 170 7354 7354 11"
EMAIL = f"{LOCAL}@qzxbuyer.example"
OTHER = f"{SHAPED}@qzxother.example"
WAITING = f"{LOCAL}-waits@qzxbuyer.example"
NEEDLES: Sequence[bytes] = [
    each.encode() for each in (LOCAL, "qzxbuyer", SHAPED, "qzxother", "7354 7354", "7354+7354", "7354%207354", "Qzxnam")
]
"""What may be nowhere: pieces of each, in each way that a URL or JSON writes it."""


BILLING = {"name": NAME, "street": f"{LOCAL} 1", "place": SHAPED, "country": "DE", "vatId": "QZXNAM123"}


class Visited(NamedTuple):
    """A platform with a buyer's orders, and what it answered to bad requests."""

    running: Running
    office: BoxOffice
    folder: Path
    concert: str
    orders: list[dict[str, Any]]
    others: list[str]
    """Orders of somebody else: the lines of a cart, and one that waits at a concert that limits its buyers."""
    problems: list[str]
    collected: Receiver


@pytest.fixture(scope="module")
def visited(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    folder = tmp_path_factory.mktemp("privacy")
    said = folder / "said.log"
    with (
        said.open("wb") as log,
        _stderr_to(log.fileno()),
        receiving() as collected,
        pytest.MonkeyPatch.context() as environ,
    ):
        environ.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collected.url)
        environ.setenv("OTEL_METRIC_EXPORT_INTERVAL", "2000")  # ms
        yield from _visited(start, folder, collected)


def _visited(start: Start, folder: Path, collected: Receiver) -> Iterator[Visited]:
    with (
        start(folder / "data", log_level="debug", retention_days="30") as running,
    ):
        office = running.office
        concert = office.put_on(seats=50)["id"]
        orders = [
            office.buy(
                concert,
                quantity=1,
                userId="user-7",
                email=EMAIL,
                phone=PHONE,
                name=NAME,
                key=fresh("key"),
                billingAddress=BILLING,
            ),
            office.buy(concert, quantity=1, userId="user-7", email=EMAIL.upper()),
            office.buy(concert, quantity=1, userId="user-8", email=OTHER),
            office.buy(concert, quantity=1, userId="user-9", phone=PHONE, paymentMethod="card-declined"),
        ]
        for order in orders[:3]:
            office.end(order, "Paid")
            office.told(order, "confirmation")
        commented = {"comment": f"{NAME} sits in a wheelchair"}
        answer = office.http.patch(f"/orders/{orders[0]['id']}", json=commented, headers=office.organizer)
        assert answer.status_code == 200, answer.text
        asked = {"order": orders[0]["id"]}
        tickets = office.until(
            lambda: office.http.get("/tickets", params=asked, headers=office.organizer), lambda got: got.is_success
        ).json()["items"]
        at = f"/tickets/{tickets[0]['id']}"
        answer = office.http.post(f"{at}/transfer", json={"holder": NAME}, headers=office.organizer)
        assert answer.json()["holder"] == NAME, answer.text
        assert office.get(at)["holder"] == NAME
        money = {"amount": {"amount": 100, "currency": "EUR"}, "reason": f"{NAME} could not come"}
        keyed = {**office.organizer, "idempotency-key": "once"}
        for _ in range(2):
            answer = office.http.post(f"/orders/{orders[0]['id']}/refunds", json=money, headers=keyed)
            assert answer.status_code == 202, answer.text
        problems = [answer.text for answer in _bad_requests(office, concert)]
        guests = {"concertId": concert, "csv": f"name,tickets,email\n{NAME},20,{EMAIL}\n{NAME},20,\n{NAME},20,\n"}
        refused = office.http.post("/orders/guests", json=guests, headers=office.organizer)
        problem(refused, 409, "guests-refused")
        problems.append(refused.text)
        cart_and_wish = _a_cart_and_who_waits(office)
        yield Visited(running, office, folder, concert, orders, cart_and_wish, problems, collected)


def _a_cart_and_who_waits(office: BoxOffice) -> list[str]:
    concert = office.put_on(seats=2, maxPerBuyer=2)["id"]
    buyer = {"userId": "user-6", "email": WAITING, "phone": PHONE, "billingAddress": BILLING}
    lines = [{"concertId": concert, "quantity": 1}] * 2
    cart = office.http.post("/orders/carts", json={**buyer, "lines": lines})
    assert cart.status_code == 201, cart.text
    waits = office.order(concert, quantity=1, waitingList=True, userId="user-5", email=WAITING, name="A. Nother")
    problem(waits, 409, "buyer-limit-reached")
    waits = office.order(concert, quantity=1, waitingList=True, userId="user-5", email=f"x{WAITING}")
    assert waits.status_code == 202, waits.text
    return [*(line["id"] for line in cart.json()["lines"]), waits.json()["id"]]


class _stderr_to:  # noqa: N801 - reads as a block
    """What is started within writes its standard error there."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> None:
        self._before = os.dup(2)
        os.dup2(self._descriptor, 2)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._before, 2)
        os.close(self._before)


def _bad_requests(office: BoxOffice, concert: str) -> Iterator[httpx.Response]:
    """Each a mistake that a client may make with somebody's data."""
    good = {"concertId": concert, "userId": "user-7", "quantity": 1}
    for body in (
        {**good, "email": f"{LOCAL} at home"},
        {**good, "email": [EMAIL], "phone": {"home": PHONE}},
        {**good, EMAIL: True, NAME: True},
        {**good, "userId": EMAIL},
        {**good, "name": [NAME], "email": EMAIL},
        {**good, "concertId": EMAIL, "section": NAME},
        {**good, "concertId": concert, "paymentMethod": LOCAL},
        {**good, "maxPrice": {EMAIL: PHONE}},
        {**good, "billingAddress": {**BILLING, "country": LOCAL}},
        {**good, "billingAddress": {**BILLING, NAME: EMAIL, "vatId": EMAIL}},
    ):
        yield office.http.post("/orders", json=body)
    yield office.http.post("/orders", content=json.dumps({**good, "email": EMAIL})[:-1])
    yield office.http.post("/orders", content=json.dumps(good)[:-1] + f', "email": "{EMAIL}", "email": "{EMAIL}"}}')
    yield office.http.post("/orders", content=EMAIL, headers={"content-type": f"text/html; {EMAIL}"})
    for path in (f"/orders/{EMAIL}", f"/{NAME}/{EMAIL}", f"/orders/{EMAIL}/contact", f"/audit/orders/{PHONE}"):
        for key in ({}, office.organizer):
            yield office.http.get(path, headers=key)
    for path in ("/orders", "/payments", "/notifications", "/audit/events", "/concerts"):
        for query in ({"e-mail": EMAIL}, {EMAIL: "1"}, {"after": EMAIL}, {"limit": PHONE}, {"status": NAME}):
            yield office.http.get(path, params=query, headers=office.organizer)
    yield office.http.post("/notifications/retry", json={"ids": [EMAIL]}, headers=office.organizer)
    yield office.http.post("/audit/replay", json={"eventIds": [EMAIL]}, headers=office.organizer)


def _planted_in(folder: Path) -> list[str]:
    """Where pieces of what was planted are, file by file."""
    wanted = re.compile(b"|".join(re.escape(each) for each in NEEDLES), re.IGNORECASE)
    found = []
    files = 0
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            files += 1
            packed = packs_in(file) if file.suffix == ".db" else ()
            for searched in (file.read_bytes(), *packed):
                hit = wanted.search(searched)
                if hit is not None:
                    found.append(f"{file.relative_to(folder)}: {hit[0]!r}")
    assert files > 3, "nothing was searched"
    return found


def _everything_said(office: BoxOffice) -> str:
    """Events and metrics."""
    events = [json.dumps(each) for each in office.listed("/audit/events")]
    letters = office.http.get("/orders/-/dead-letters", headers=office.organizer).text
    return "\n".join([*events, office.http.get("/metrics").text, letters])


def _planted_in_text(text: str) -> list[str]:
    return [needle.decode() for needle in NEEDLES if needle.decode().casefold() in text.casefold()]


def test_bad_requests_are_refused_without_what_they_said(visited: Visited) -> None:
    assert [(text, hits) for text in visited.problems if (hits := _planted_in_text(text))] == []
    assert all(json.loads(text) for text in visited.problems)


@pytest.mark.skipif(is_over_cosmos(), reason="the double keeps its documents in memory")
def test_nothing_of_a_buyer_is_on_any_disk_in_clear(visited: Visited) -> None:
    assert _planted_in(visited.folder) == []


def test_nothing_of_a_buyer_is_in_events_or_metrics(visited: Visited) -> None:
    visited.office.quiet()
    assert _planted_in_text(_everything_said(visited.office)) == []


def test_nothing_of_a_buyer_is_in_traces_or_in_what_a_collector_gets(visited: Visited) -> None:
    collected, named = visited.collected, re.compile(b"|".join(re.escape(each) for each in NEEDLES), re.IGNORECASE)
    wanted = {"POST /orders", "PATCH /orders/{}", "POST /orders/{}/refunds", "process OrderPaid"}
    collected.until(lambda got: wanted <= {span.name for span in got.spans})
    collected.until(lambda got: bool(got.logs))
    bodies = list(collected.bodies)
    assert [hit[0] for body in bodies if (hit := named.search(body)) is not None] == []


def test_the_organizer_sees_the_addresses_and_the_buyer_does_not(visited: Visited) -> None:
    office = visited.office
    first = office.get(f"/orders/{visited.orders[0]['id']}")
    assert (first["email"], first["phone"], first["name"]) == (EMAIL, PHONE, NAME)
    assert first["comment"] == f"{NAME} sits in a wheelchair"
    assert [each["reason"] for each in first["refunds"]] == [f"{NAME} could not come"]
    found = office.listed("/orders", concertId=visited.concert, email=EMAIL.title())
    assert [each["id"] for each in found] == [order["id"] for order in visited.orders[:2]]
    listed = {each["id"]: each["email"] for each in office.listed("/orders", concertId=visited.concert)}
    assert listed[visited.orders[2]["id"]] == OTHER
    assert "email" not in office.look(visited.orders[0])


def _ask(office: BoxOffice, what: str, **body: Any) -> dict[str, Any]:
    answer = office.http.post(f"/orders/-/buyers/{what}", json=body, headers=office.organizer)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("whose", [{"email": EMAIL}, {"email": EMAIL.title()}, {"userId": "user-7"}], ids=str)
def test_an_export_finds_all_orders_of_a_buyer(visited: Visited, whose: dict[str, str]) -> None:
    items = _ask(visited.office, "export", **whose)["items"]
    assert {item["orderId"] for item in items} == {order["id"] for order in visited.orders[:2]}
    assert {item["email"] for item in items} == {EMAIL, EMAIL.upper()}
    assert {item["name"] for item in items} == {NAME, None}
    assert {item["comment"] for item in items} == {f"{NAME} sits in a wheelchair", None}
    assert [item["refundReasons"] for item in items if item["refundReasons"]] == [{"1": f"{NAME} could not come"}]


def test_an_export_comes_page_by_page(visited: Visited) -> None:
    first = _ask(visited.office, "export", email=EMAIL, limit=1)
    rest = _ask(visited.office, "export", email=EMAIL, limit=1, after=first["next"])
    assert {first["items"][0]["orderId"], rest["items"][0]["orderId"]} == {each["id"] for each in visited.orders[:2]}


@pytest.mark.parametrize(
    "body", [{}, {"email": EMAIL, "userId": "user-7"}, {"email": "no address"}, {"orderIds": []}], ids=str
)
def test_whose_data_is_wanted_has_to_be_said(visited: Visited, body: dict[str, Any]) -> None:
    office = visited.office
    answer = office.http.post("/orders/-/buyers/export", json=body, headers=office.organizer)
    assert answer.status_code == 422
    assert _planted_in_text(answer.text) == []


def test_an_address_is_no_user_id_for_user_ids_are_in_events(visited: Visited) -> None:
    answer = visited.office.order(visited.concert, userId=EMAIL)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "userId"


def _cludale(folder: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cludale_operations", *arguments],
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_an_erased_buyer_is_nowhere_any_more_and_all_the_rest_holds(visited: Visited) -> None:
    office, folder = visited.office, visited.folder
    named = office.listed("/orders", name=NAME)
    assert named, "organizers find a buyer by name"
    exported = _cludale(folder / "data", "privacy", "export", "--email", EMAIL, "--url", office.url)
    assert exported.returncode == 0, exported.stderr
    kept = json.loads(exported.stdout)["orders"]
    assert kept[0]["payments"]
    assert kept[0]["notifications"]
    assert kept[0]["log"]
    erased = _cludale(folder / "data", "privacy", "erase", "--user", "user-7", "--json", "--url", office.url)
    assert erased.returncode == 0, erased.stderr
    assert {each["reason"] for each in json.loads(erased.stdout)} == {"asked"}
    for order in visited.orders[:2]:
        seen = office.get(f"/orders/{order['id']}")
        assert (seen["status"], seen["email"], seen["phone"]) == ("Paid", None, None)
        assert (seen["name"], seen["comment"]) == (None, None)
        assert {each["reason"] for each in seen["refunds"]} <= {None}
        for headers in (office.organizer, office.buyer(order)):
            answer = office.http.patch(f"/orders/{order['id']}", json={"email": EMAIL}, headers=headers)
            problem(answer, 409, "buyer-erased")
        problem(office.http.post(f"/orders/{order['id']}/resend", headers=office.organizer), 409, "no-address")
        assert office.story(order, "ContactErased")
    assert _ask(office, "export", email=EMAIL)["items"] == []
    assert [item["email"] for item in _ask(office, "export", userId="user-7")["items"]] == [None, None]
    assert office.get(f"/orders/{visited.orders[2]['id']}")["email"] == OTHER, "nobody else is"

    off = office.cancel(visited.orders[0], by=office.organizer)
    office.told(off, "confirmation", "refund", "cancellation")
    notes = office.listed("/notifications", orderId=off["id"])
    assert {note["kind"]: note["status"] for note in notes}["cancellation"] == "Logged", "there is nobody to tell"

    ids = _cludale(folder / "data", "privacy", "erasures", "--url", office.url).stdout
    assert set(ids.split()) == {order["id"] for order in visited.orders[:2]}
    again = folder / "again.txt"
    again.write_text(ids)
    once_more = _cludale(folder / "data", "privacy", "erase", "--again", str(again), "--json", "--url", office.url)
    assert once_more.returncode == 0, once_more.stderr
    office.quiet()
    assert office.listed("/orders", name=NAME) == [], "by whom nobody is found any more"
    given = office.get("/tickets", order=visited.orders[0]["id"])["items"]
    assert {each["holder"] for each in given} == {None}, "nor is the name that the buyer gave for a ticket"
    assert office.get("/audit/verify")["ok"]
    assert len(office.listed("/audit/events", type="ContactErased")) == 2, "again, it changes nothing"


def test_who_had_a_cart_and_who_waits_are_found_and_erased_whole(visited: Visited) -> None:
    office, (one, two, waits) = visited.office, visited.others
    items = _ask(office, "export", email=WAITING)["items"]
    assert {item["orderId"] for item in items} == {one, two}
    assert [item["billingAddress"] for item in items] == [BILLING, BILLING]
    assert _ask(office, "export", email=f"x{WAITING}")["items"][0]["orderId"] == waits
    for whose in (WAITING, f"x{WAITING}"):
        assert _ask(office, "erase", email=whose)["items"]
        assert _ask(office, "export", email=whose)["items"] == []
    office.quiet()
    kept = _ask(office, "export", orderIds=[one, two, waits])["items"]
    assert {item["erasedAt"] is None for item in kept} == {False}
    assert {(item["email"], item["phone"], item["billingAddress"]) for item in kept} == {(None, None, None)}
    assert office.get(f"/orders/{waits}")["status"] == "Pending", "it keeps its place"
    assert office.get("/audit/verify")["ok"]
    if not is_over_cosmos():
        assert _planted_in(visited.folder) == []

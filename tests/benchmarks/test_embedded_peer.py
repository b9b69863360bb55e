"""The embedded peer keeps the promises that it is measured with."""

import hashlib
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import uuid4

import httpx
import pytest
from benchmarks.shapes import Embedded, environment_of
from tests.parts import LEFT_OUT
from tests.patience import eventually

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 30


@pytest.fixture(scope="session")
def packages() -> None:
    """What the peer runs with, from a registry: installed where it is not yet, without which it is left out."""
    try:
        environment_of("embedded")
    except subprocess.SubprocessError as error:
        said = f"the embedded peer's packages can't be installed here: {error}"
        if os.environ.get("CI"):
            pytest.fail(said, pytrace=False)
        pytest.skip(f"{LEFT_OUT}{said}")


@pytest.fixture
def shop(packages: None) -> Iterator[Embedded]:
    with Embedded() as running:
        yield running


@pytest.fixture
def unpaid(packages: None) -> Iterator[Embedded]:
    """One whose payment provider never answers, and whose holds are short."""
    with Embedded(SHOP_PROVIDER="silent", SHOP_HOLD_SECONDS="1") as running:
        yield running


def order(shop: Embedded, concert_id: str, *, key: str, quantity: int = 1) -> httpx.Response:
    body = {"concertId": concert_id, "userId": "buyer-1", "quantity": quantity}
    return shop.http.post("/orders", json=body, headers={"Idempotency-Key": key})


def done(shop: Embedded) -> bool:
    return not shop.progress().left


def assert_chained(shop: Embedded) -> int:
    """Each hash is over the one before, the type and the body; how many there are."""
    with closing(sqlite3.connect(shop.data / "shop.db")) as database:
        rows = database.execute("SELECT type, body, hash FROM audit ORDER BY sequence").fetchall()
    head = b""
    for type_, body, kept in rows:
        head = hashlib.sha256(head + type_.encode() + body.encode()).digest()
        assert kept == head
    return len(rows)


def test_of_two_hundred_buyers_for_fifty_seats_fifty_are_paid_and_confirmed_and_logged(shop: Embedded) -> None:
    concert_id = shop.put_on_concert(50)

    with ThreadPoolExecutor(32) as buyers:
        answers = list(buyers.map(lambda _: order(shop, concert_id, key=str(uuid4())), range(200)))

    assert sorted(answer.status_code for answer in answers) == [201] * 50 + [409] * 150
    assert eventually(lambda: done(shop), seconds=PATIENCE_SECONDS)
    shop.check_orders(concert_id, 50)
    assert assert_chained(shop) == 50 * Embedded.EVENTS_AN_ORDER


def test_the_same_key_at_the_same_time_and_again_is_one_order(shop: Embedded) -> None:
    concert_id = shop.put_on_concert(50)

    with ThreadPoolExecutor(8) as buyers:
        answers = list(buyers.map(lambda _: order(shop, concert_id, key="one"), range(8)))
    assert eventually(lambda: done(shop), seconds=PATIENCE_SECONDS)
    answers.append(order(shop, concert_id, key="one"))

    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    shop.check_orders(concert_id, 1)
    assert order(shop, concert_id, key="one", quantity=2).status_code == 422


def test_what_it_acknowledged_is_carried_on_after_it_was_killed(shop: Embedded) -> None:
    concert_id = shop.put_on_concert(50)
    taken = [order(shop, concert_id, key=str(number)).status_code for number in range(20)]

    shop.stop(signal.SIGKILL)
    shop.start()

    assert taken == [201] * 20
    assert eventually(lambda: done(shop), seconds=PATIENCE_SECONDS)
    shop.check_orders(concert_id, 20)
    assert_chained(shop)


def test_seats_that_nobody_paid_for_are_free_again(unpaid: Embedded) -> None:
    concert_id = unpaid.put_on_concert(2)
    order_id = order(unpaid, concert_id, key="one", quantity=2).json()["orderId"]

    assert order(unpaid, concert_id, key="two").status_code == 409
    assert eventually(lambda: unpaid.get(f"/concerts/{concert_id}")["availableSeats"] == 2, seconds=PATIENCE_SECONDS)

    assert unpaid.get(f"/orders/{order_id}")["status"] == "Expired"
    assert eventually(lambda: done(unpaid), seconds=PATIENCE_SECONDS)
    assert assert_chained(unpaid) == 2  # TicketReserved, OrderExpired

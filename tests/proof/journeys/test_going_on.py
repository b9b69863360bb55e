"""Stopped, killed, started again: it goes on where it was."""

import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from random import Random, SystemRandom
from time import monotonic

import msgspec
import pytest
from tests.proof.faults.judging import at_rest
from tests.proof.journeys.box_office import Json, types
from tests.proof.journeys.conftest import Start, is_over_cosmos, reads_the_embedded_store
from tests.proof.journeys.crowds import requests_of, rush
from tests.served import environment

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[3]
KILLS = 2
STOPPED_SECONDS = 20
"""Less than the buyer would wait for a change."""

one_process = pytest.mark.skipif(
    "JOURNEYS_SHAPE" in os.environ, reason="tests/operations/local/test_up.py ends what stands apart"
)

_log = logging.getLogger(__name__)


def rebuilt(folder: Path) -> str:
    """What `cludale audit replay` says: the state from the log, compared with the live one. An error if they differ."""
    done = subprocess.run(
        [sys.executable, "-m", "cludale_operations", "audit", "replay"],
        cwd=PROJECT,
        env=environment(folder, **stores(folder)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stores(folder: Path) -> dict[str, str]:
    """Where the platform over the folder keeps what it knows: for the distributed shape, the database that runs."""
    state = folder / "up.json"
    return {"CLUDALE_DATABASE_URL": msgspec.json.decode(state.read_bytes())["databaseUrl"]} if state.exists() else {}


def test_a_restart_goes_on_where_it_stopped_and_a_buyer_who_waits_is_told_how_the_order_stands(
    start: Start, tmp_path: Path
) -> None:
    with start(tmp_path, payment_slow_seconds="60") as ours, ThreadPoolExecutor(1) as buyer:
        concert = ours.office.put_on(seats=20)["id"]
        paid = ours.office.buy(concert)
        ours.office.end(paid, "Paid")
        ours.office.told(paid, "confirmation")
        slow = ours.office.buy(concert, paymentMethod="card-slow", key="key-1")
        before = ours.office.concert(concert)
        waiting = buyer.submit(ours.office.look, slow, wait=30)
        assert not wait([waiting], timeout=0.5).done
        asked = monotonic()
        assert ours.served.stop(signal.SIGTERM) == 0
        assert waiting.result(timeout=STOPPED_SECONDS)["status"] == "Reserved"
        assert monotonic() - asked < STOPPED_SECONDS
    with start(tmp_path) as ours:
        office = ours.office
        assert office.look(paid)["status"] == "Paid"
        again = office.order(concert, paymentMethod="card-slow", key="key-1")
        assert again.json() == slow
        assert office.concert(concert)["soldSeats"] >= before["soldSeats"]
        office.end(slow, "Paid")
        office.told(slow, "confirmation")
        assert office.counts(concert) == (16, 0, 4)
        assert types(office.story(slow, "PaymentCompleted", "NotificationSent")).count("PaymentCompleted") == 1
        assert office.get("/audit/verify")["ok"] is True
        office.quiet()
        if not is_over_cosmos():  # `audit replay` reads no Cosmos DB
            rebuilt(tmp_path)


@reads_the_embedded_store
def test_killed_in_the_middle_of_a_load_it_keeps_what_it_answered_and_finishes_the_rest(
    start: Start, tmp_path: Path
) -> None:
    """What the log tells is what the stores hold, also when it is folded anew."""
    seed = SystemRandom().randrange(2**32)
    _log.warning("seed %d", seed)
    random = Random(seed)
    short = {"hold_seconds": "2", "payment_attempt_seconds": "1", "payment_slow_seconds": "0.3"}
    confirmed: list[Json] = []
    concert = ""
    for turn in range(KILLS):
        with start(tmp_path, **short) as ours:
            concert = concert or ours.office.put_on(seats=100_000)["id"]
            _, heard = rush(
                ours.office.url,
                requests_of(ours.office.url, concert, 100_000, seed=seed + turn),
                after=(random.uniform(0.05, 0.8), ours.served.process.kill),
            )
            assert ours.served.process.wait(timeout=10) == -signal.SIGKILL
        assert {status for status, _ in heard} <= {201}
        confirmed += [msgspec.json.decode(body) for _, body in heard]
    assert confirmed
    with start(tmp_path, **short) as ours:
        office = ours.office
        orders = {order["id"]: order for order in office.listed("/orders", concertId=concert, limit=200)}
        for told in confirmed:
            kept = orders[told["id"]]
            assert [kept[name] for name in ("quantity", "total", "userId", "createdAt")] == [
                told[name] for name in ("quantity", "total", "userId", "createdAt")
            ]
        assert at_rest(tmp_path).ok
        ends = {order["status"] for order in office.listed("/orders", concertId=concert, limit=200)}
        assert ends <= {"Paid", "Cancelled"}
        assert office.counts(concert)[1] == 0
        assert office.get("/audit/verify")["ok"] is True
        rebuilt(tmp_path)
    assert at_rest(tmp_path).ok


@one_process
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_when_it_is_told_to(start: Start, tmp_path: Path, how: signal.Signals) -> None:
    with start(tmp_path) as ours:
        concert = ours.office.put_on()["id"]
        ours.office.buy(concert)
        assert ours.served.stop(how) in (0, 130 if how is signal.SIGINT else 0)
    with start(tmp_path) as ours:
        assert ours.office.concert(concert)["id"] == concert

"""The checker beside a real server: it agrees with what the services really write, and finds what is done to it."""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.patience import eventually
from tests.served import Served, serve
from tests.stored_log import replacing, spoil

from cludale_proof.checker import Credential, DataFolder, Observation, Report, check

pytestmark = pytest.mark.slow

SETTLES_SECONDS = 60
SETTINGS = {"CLUDALE_HOLD_SECONDS": "2", "CLUDALE_SWEEP_SECONDS": "0.2", "CLUDALE_PAYMENT_ATTEMPT_SECONDS": "0.5"}
METHODS = ("card-ok", "card-declined", "card-flaky", "card-timeout-after-charge", "card-slow")


class Client:
    """Calls the server and notes what it sees."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.seen: list[Observation] = []

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        key: str | None = None,
        credential: Credential = Credential.BUYER,
    ) -> dict[str, Any]:
        request = "" if body is None else json.dumps(body)
        headers = {"content-type": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        if key is not None:
            headers["idempotency-key"] = key
        sent_at = time.monotonic()
        answer = self.served.http.request(method, path, content=request or None, headers=headers)
        self.seen.append(
            Observation(
                method=method,
                path=path,
                status=answer.status_code,
                body=answer.text,
                request=request,
                key=key,
                credential=credential,
                sent_at=sent_at,
                received_at=time.monotonic(),
            )
        )
        parsed: dict[str, Any] = answer.json()
        return parsed


def live(client: Client) -> None:
    """Orders of every kind, some cancelled, one sold out, asked for by everybody."""
    organizer = client.served.organizer["authorization"].removeprefix("Bearer ")
    client.served.concert("concert-1", seats=30)
    for number in range(20):
        end = {
            "concertId": "concert-1",
            "userId": f"user-{number}",
            "quantity": 1 + number % 3,
            "paymentMethod": METHODS[number % len(METHODS)],
        }
        key = f"key-{number}" if number % 2 else None
        order = client.call("POST", "/orders", end, key=key)
        if key is not None:
            assert client.call("POST", "/orders", end, key=key) == order
        if "accessToken" not in order:
            continue
        path = f"/orders/{order['id']}"
        if not number % 4:
            client.call("POST", f"{path}/cancel", token=order["accessToken"])
        client.call("GET", path, credential=Credential.NONE)
        client.call("GET", path, token="x" * 20, credential=Credential.OTHER)
        client.call("GET", path, token=order["accessToken"])
        if number % 5 == 1:
            again = {"orderId": order["id"], "method": "card-ok"}
            client.call("POST", "/payments", again, token=organizer, credential=Credential.ORGANIZER)
    client.served.concert("concert-free", price={"amount": 0, "currency": "EUR"})
    client.call("POST", "/orders", {"concertId": "concert-free", "userId": "user-free", "quantity": 2})
    hold = {"quantity": 1}
    client.call("POST", "/concerts/concert-1/reserve", hold, token=organizer, credential=Credential.ORGANIZER)
    client.call("POST", "/concerts/concert-1/reserve", hold, token=organizer, key="k", credential=Credential.ORGANIZER)


def look(folder: Path, client: Client, *, quiet: bool = False) -> Report:
    with DataFolder(folder) as snapshot:
        return check(
            snapshot,
            quiet=quiet,
            observations=client.seen,
            grace=timedelta(seconds=2),
            skew=timedelta(seconds=1),
        )


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Client]:
    folder = tmp_path_factory.mktemp("data")
    with serve(folder, settings=SETTINGS) as served:
        client = Client(served)
        live(client)
        while_it_runs = look(folder, client)
        assert while_it_runs.violations == []
        settle(folder, client)
        forget(client)
        settle(folder, client)
    return folder, client


def settle(folder: Path, client: Client) -> None:
    """Return once the holds are over, and all that follows is done."""
    http = client.served.http
    assert eventually(lambda: http.get("/concerts/concert-1").json()["heldSeats"] == 0, seconds=SETTLES_SECONDS)
    deadline = time.monotonic() + SETTLES_SECONDS
    while not look(folder, client, quiet=True).ok and time.monotonic() < deadline:
        time.sleep(0.2)


def forget(client: Client) -> None:
    """All that is kept of some buyers, who have tickets by now."""
    organizer = client.served.organizer["authorization"].removeprefix("Bearer ")
    for user in ("user-1", "user-free"):
        asked = {"userId": user}
        erased = client.call("POST", "/orders/-/buyers/erase", asked, token=organizer, credential=Credential.ORGANIZER)
        assert erased["items"], erased


def test_a_real_server_keeps_every_promise(settled: tuple[Path, Client]) -> None:
    folder, client = settled
    report = look(folder, client, quiet=True)
    assert report.violations == []
    assert report.unchecked == []
    assert report.counts["orders"] >= 10
    assert report.counts["observations"] == len(client.seen)
    assert report.counts["ledger lines"]
    assert report.counts["kept answers"]


@pytest.mark.parametrize(
    ("rule", "done"),
    [
        ("order-lost", "DELETE FROM orders_order WHERE status = 'Paid'"),
        ("order-gone", "DELETE FROM orders_order WHERE status = 'Paid'"),
        (
            "order-differs",
            "UPDATE orders_order SET body = replace(body, '\"Paid\"', '\"Reserved\"') WHERE status = 'Paid'",
        ),
        ("version-gap", "UPDATE orders_order SET version = version + 1 WHERE n = 1"),
        ("sold-differs", "UPDATE concerts_section SET body = json_set(body, '$.sold', 1)"),
        ("reservation-lost", "DELETE FROM concerts_reservation WHERE n = 1"),
        ("payment-lost", "DELETE FROM payments_payment WHERE n = 1"),
        ("notification-lost", "DELETE FROM notifications_notification WHERE n = 1"),
        ("gap", lambda store: spoil(store, lambda found: found.pop(9))),
        ("hash", lambda store: spoil(store, replacing("card-flaky", "card-oddly"))),
        ("events-lost", "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'outbox'"),
    ],
)
def test_what_is_done_to_a_real_store_is_found(
    settled: tuple[Path, Client], rule: str, done: str | Callable[[sqlite3.Connection], None], tmp_path: Path
) -> None:
    folder, client = settled
    for source in folder.glob("*.db"):
        with closing(sqlite3.connect(source)) as good, closing(sqlite3.connect(tmp_path / source.name)) as copy:
            good.backup(copy)
    with closing(sqlite3.connect(tmp_path / "cludale.db")) as store, store:
        if isinstance(done, str):
            assert store.execute(done).rowcount
        else:
            done(store)
    assert rule in {violation.rule for violation in look(tmp_path, client).violations}

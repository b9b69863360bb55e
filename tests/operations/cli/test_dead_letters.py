"""`cludale deadletters`, against a server whose store has some: list, show, deliver again."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import NOON, ManualClock
from tests.operations.dead_letters.service_bus import Namespace
from tests.seats import allocation
from tests.served import KEY, Served, serve
from typer.testing import CliRunner

from cludale.kernel.events import Cause, envelop
from cludale.kernel.money import Money
from cludale.kernel.wire import Codec
from cludale.runtime.dead_letters import DeadLetters
from cludale.services.catalogue import CATALOGUE
from cludale.services.orders.events import OrderPaid
from cludale.wiring.offline import new_store
from cludale.wiring.stores import STORE
from cludale_operations.cli import app
from cludale_operations.dead_letters.broker import BrokerSubscription

pytestmark = pytest.mark.slow

PAID = Codec(CATALOGUE).encode(
    envelop(
        OrderPaid(
            order_id="order-1",
            allocation=allocation("reservation-1", 2),
            total=Money(9000, "EUR"),
            reachable=False,
        ),
        id="event-1",
        source="orders",
        time=NOON,
        cause=Cause(),
    )
)


async def bury(folder: Path) -> None:
    store = new_store(folder / STORE)
    letters = DeadLetters(store, ManualClock())
    await letters.bury("audit", PAID, event_type="OrderPaid", event_id="event-1", reason="too early", attempts=20)
    await letters.bury("audit", b"{", event_type="?", event_id="x.1", reason="Input data was truncated", attempts=1)
    for i in range(3):
        await letters.bury("payments", b"{", event_type="?", event_id=f"y.{i}", reason="truncated", attempts=1)
    await store.close()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    asyncio.run(bury(tmp_path))
    with serve(tmp_path) as running:
        monkeypatch.setenv("CLUDALE_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("CLUDALE_PORT", str(running.port))
        monkeypatch.setenv("CLUDALE_ORGANIZER_KEY", KEY)
        yield running


def told(*arguments: str, status: int = 0) -> Any:
    result = CliRunner().invoke(app, ["deadletters", *arguments, "--json"])
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def test_letters_are_listed_shown_and_delivered_again(served: Served) -> None:
    listed = told("list")
    assert [each["consumer"] for each in listed] == ["payments"] * 3 + ["audit"] * 2
    (letter,) = [each for each in listed if each["eventId"] == "event-1"]
    assert told("show", letter["id"])["body"] == PAID.decode()
    (retried,) = told("retry", letter["id"])
    assert (retried["answer"], retried["state"]) == ("SUCCESS", "Delivered")
    events = served.http.get("/audit/events", headers=served.organizer).json()["items"]
    assert [each["eventId"] for each in events] == ["event-1"]
    assert letter["id"] not in [each["id"] for each in told("list")]
    (delivered,) = told("list", "--state", "delivered")
    assert delivered["id"] == letter["id"]


def test_what_is_still_not_taken_waits_on_and_the_exit_status_says_so(served: Served) -> None:
    retried = told("retry", "--all", status=1)
    assert sorted(each["answer"] for each in retried) == ["DROP"] * 4 + ["SUCCESS"]
    assert len(told("list")) == 4


def test_letters_of_one_service_come_a_page_at_a_time(served: Served) -> None:
    path = "/payments/-/dead-letters"
    first = served.http.get(path, params={"limit": 2}, headers=served.organizer).json()
    rest = served.http.get(path, params={"limit": 2, "after": first["next"]}, headers=served.organizer).json()
    assert [each["eventId"] for each in first["items"] + rest["items"]] == ["y.0", "y.1", "y.2"]
    assert rest["next"] is None
    assert told("list", "--service", "orders") == []


def test_only_the_organizer_sees_them(served: Served) -> None:
    assert served.http.get("/audit/-/dead-letters").status_code == 401
    assert served.http.post("/audit/-/dead-letters/retry", json={"ids": ["x"]}).status_code == 401


def test_a_letter_that_is_not_there_is_said_so(served: Served) -> None:
    for command in (["show", "letter-0"], ["retry", "letter-0"]):
        result = CliRunner().invoke(app, ["deadletters", *command])
        assert result.exit_code == 1
        assert "no dead letter 'letter-0'" in result.stderr


def test_all_of_a_topic_are_retried_wherever_they_stand(served: Served, namespace: Namespace) -> None:
    namespace.gave_up(BrokerSubscription("order-events", "audit"), PAID, id="event-1", type="OrderPaid")
    retried = told("retry", "--all", "--topic", "order-events")
    assert [(each["where"], each["answer"]) for each in retried] == [("service", "SUCCESS"), ("broker", "SENT")]
    assert {each["topic"] for each in told("list")} == {"?"}

"""What the services behind sidecars say while the broker takes nothing, and who answers buyers meanwhile."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.parts import complete
from tests.patience import eventually
from tests.proof.faults.apart import Apart, apart
from tests.proof.faults.test_readiness import FEW_SECONDS
from tests.proof.faults.victims import HASTE
from tests.served import trusting

from cludale.services import NAMES
from cludale_operations.local.daprd import Broker
from cludale_operations.local.find import find
from cludale_operations.local.jetstream import STREAM, jetstream

pytestmark = pytest.mark.slow

LOUD = {**HASTE, "CLUDALE_LOG_LEVEL": "warning"}


def said(platform: Apart, service: str) -> tuple[int, str]:
    """What a replica answers to `GET /readyz`."""
    part = platform.part(f"{service}-1")
    answer = httpx.get(f"{part['url']}/readyz", timeout=20, verify=trusting(part))
    return answer.status_code, answer.json().get("detail", "")


def all_say(platform: Apart, judge: Callable[[int, str], bool], *, seconds: float = 2 * FEW_SECONDS) -> bool:
    return eventually(lambda: all(judge(*said(platform, each)) for each in NAMES), seconds=seconds, every_seconds=0.2)


def ready(platform: Apart, *, seconds: float = 2 * FEW_SECONDS) -> bool:
    """Do all say that they are ready, and the gateway for all of them?"""
    return all_say(platform, lambda status, _: status == 200, seconds=seconds) and eventually(
        lambda: platform.http.get("/readyz").status_code == 200, seconds=seconds
    )


def order(platform: Apart) -> httpx.Response:
    return platform.http.post("/orders", json={"concertId": "c-1", "userId": "me", "quantity": 1})


def paid(platform: Apart, placed: dict[str, Any]) -> bool:
    seen = platform.http.get(f"/orders/{placed['id']}?wait=5", headers=platform.organizer)
    return bool(seen.json()["status"] == "Paid")


def changes(platform: Apart, service: str) -> list[bool]:
    """Each change that a service has logged: did it become unready by it?"""
    lines = (platform.folder / "logs" / f"{service}-1.log").read_text().splitlines()
    return ["not ready." in line for line in lines if "not ready." in line or "works again" in line]


@pytest.fixture(scope="module")
def on_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    folder = tmp_path_factory.mktemp("rabbitmq") / "data"
    with apart(folder, replicas=[], settings={**LOUD, "CLUDALE_HOLD_SECONDS": "60"}, broker=Broker.RABBITMQ) as up:
        up.concert("c-1", seats=10_000)
        yield up


def control(platform: Apart, *command: str) -> None:
    """`rabbitmqctl` against the platform's broker, in the broker's own environment."""
    environment = Path(f"/proc/{platform.part('rabbitmq')['pid']}/environ").read_text().split("\0")
    subprocess.run(
        [find("rabbitmqctl"), *command],
        env=dict(each.split("=", 1) for each in environment if "=" in each),
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def on_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    folder = tmp_path_factory.mktemp("nats") / "data"
    with apart(folder, replicas=[], settings={**LOUD, "CLUDALE_HOLD_SECONDS": "60"}) as up:
        up.concert("c-1", seats=10_000)
        yield up


def test_a_broker_that_blocks_publishers_is_said_by_all_without_a_buyer(on_rabbitmq: Apart) -> None:
    assert ready(on_rabbitmq)
    control(on_rabbitmq, "set_vm_memory_high_watermark", "0")
    try:
        blocked = "The broker takes no events: RabbitMQ takes no messages: low on memory."
        assert all_say(on_rabbitmq, lambda status, detail: status == 503 and blocked in detail)
        assert eventually(lambda: on_rabbitmq.http.get("/readyz").status_code == 503, seconds=FEW_SECONDS)
        assert blocked in on_rabbitmq.http.get("/readyz").json()["detail"]
        # the gateway still brings buyers to those who can tell them more
        assert on_rabbitmq.http.get("/concerts/c-1").status_code == 200
        placed = order(on_rabbitmq)
        assert placed.status_code in {201, 202}
    finally:
        control(on_rabbitmq, "set_vm_memory_high_watermark", "absolute", "1GB")
    assert ready(on_rabbitmq)
    assert eventually(lambda: paid(on_rabbitmq, placed.json()), seconds=30)
    for service in NAMES:
        assert changes(on_rabbitmq, service)[-2:] == [True, False]


def limit_stream(platform: Apart, most: int) -> None:
    """Have the stream of all events take so many messages, and no more."""

    async def run() -> None:
        async with jetstream(platform.state()["brokerUrl"]) as broker:
            known = await broker.stream_info(STREAM)
            await broker.update_stream(known.config, max_bytes=most)

    complete(run())


def test_a_stream_that_is_full_is_said_once_events_wait(on_nats: Apart) -> None:
    assert ready(on_nats)
    limit_stream(on_nats, 1)
    try:
        placed = order(on_nats)
        assert placed.status_code == 201
        # The sidecar asks more than once before it tells why; until then no answer is the reason.
        full = "The broker takes no events: nats: maximum bytes exceeded"
        assert eventually(lambda: full in said(on_nats, "orders")[1], seconds=4 * FEW_SECONDS)
        assert said(on_nats, "orders")[0] == 503
    finally:
        limit_stream(on_nats, -1)
    assert ready(on_nats)
    assert eventually(lambda: paid(on_nats, placed.json()), seconds=30)


def test_one_event_that_nobody_can_read_makes_nobody_unready(on_nats: Apart) -> None:
    assert ready(on_nats)
    sidecar = on_nats.part("orders-1-sidecar")
    broken = {"specversion": "1.0", "id": "broken-1", "type": "OrderPaid", "source": "orders", "data": {}}
    before = {service: changes(on_nats, service) for service in NAMES}
    published = httpx.post(
        f"{sidecar['url']}/v1.0/publish/events/order-events?metadata.rawPayload=true",
        json=broken,
        headers={"content-type": "application/cloudevents+json", "dapr-api-token": sidecar["apiToken"]},
        timeout=20,
        verify=trusting(sidecar),
    )
    assert published.status_code == 204
    assert eventually(lambda: bool(letters(on_nats, "tickets")), seconds=30)
    assert ready(on_nats, seconds=0)
    assert {service: changes(on_nats, service) for service in NAMES} == before


def letters(platform: Apart, service: str) -> list[dict[str, Any]]:
    found = platform.http.get(f"/{service}/-/dead-letters", headers=platform.organizer).json()["items"]
    return list(found)


@pytest.mark.parametrize("name", ["nats", "orders-1-sidecar", "postgres"])
def test_a_part_that_hangs_is_said_by_those_who_need_it(on_nats: Apart, name: str) -> None:
    assert ready(on_nats)
    part = on_nats.part(name)
    needing = ("orders",) if "sidecar" in name else NAMES
    hung = processes(part["pid"])
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert eventually(
            lambda: all(said(on_nats, each)[0] == 503 for each in needing), seconds=3 * FEW_SECONDS, every_seconds=0.2
        )
    finally:
        for pid in hung:
            os.kill(pid, signal.SIGCONT)
    assert ready(on_nats, seconds=4 * FEW_SECONDS)


def processes(pid: int) -> list[int]:
    """The process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def test_a_start_while_the_broker_takes_nothing_is_no_reason_to_start_again_and_again(on_rabbitmq: Apart) -> None:
    assert ready(on_rabbitmq)
    control(on_rabbitmq, "set_vm_memory_high_watermark", "0")
    try:
        assert all_say(on_rabbitmq, lambda status, _: status == 503)
        on_rabbitmq.restart("orders", "gateway")
        assert all(each["restarts"] <= 1 for each in on_rabbitmq.state()["parts"])
        assert on_rabbitmq.http.get("/readyz").status_code == 503
    finally:
        control(on_rabbitmq, "set_vm_memory_high_watermark", "absolute", "1GB")
    assert ready(on_rabbitmq)

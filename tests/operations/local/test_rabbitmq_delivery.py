"""What the sidecar answers on RabbitMQ: success only for what the broker has, and no haste for what nobody takes."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from subprocess import CalledProcessError
from urllib.parse import urlsplit

import httpx
import pytest
from tests.operations.local.test_delivery import CLOUD_EVENT, App
from tests.parts import need, started
from tests.patience import until

from cludale.services import NAMES
from cludale_operations.local.daprd import Broker, Daprd, resources_for
from cludale_operations.local.rabbitmq import RabbitMq, permissions_of
from cludale_operations.local.topology import TOPICS, topics_told

PUBLISH_SECONDS = 30


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMq]:
    """One of these tests' own, to be hurt."""
    need("rabbitmq-server")
    yield from started(RabbitMq(tmp_path_factory.mktemp("rabbitmq")))


@pytest.fixture
async def app() -> AsyncIterator[App]:
    app = App("events", "events", in_bulk=True)
    async with app.listening():
        yield app


@pytest.fixture
async def sidecar(broker: RabbitMq, app: App, tmp_path: Path) -> AsyncIterator[Daprd]:
    need("daprd")
    sidecar = Daprd(
        "orders",
        tmp_path,
        app_port=app.port,
        resources=resources_for(Broker.RABBITMQ),
        secrets={"broker-url": broker.url, "state-url": ""},
    )
    async with sidecar.running():
        yield sidecar


async def publish(sidecar: Daprd, *ids: str, topic: str = "payment-events") -> httpx.Response:
    entries = [
        {
            "entryId": id,
            "contentType": "text/plain",
            "event": f'{{"specversion": "1.0", "id": "{id}", "type": "PaymentCompleted", "source": "payments"}}',
        }
        for id in ids
    ]
    async with httpx.AsyncClient(base_url=sidecar.url, timeout=PUBLISH_SECONDS) as http:
        if len(ids) == 1:
            return await http.post(
                f"/v1.0/publish/events/{topic}?metadata.rawPayload=true",
                content=entries[0]["event"],
                headers={"content-type": CLOUD_EVENT},
            )
        return await http.post(f"/v1.0-alpha1/publish/bulk/events/{topic}?metadata.rawPayload=true", json=entries)


@pytest.mark.timeout(400)  # among the longest: its file begins early
async def test_all_that_was_answered_with_success_while_the_broker_was_ended_is_delivered(
    broker: RabbitMq, app: App, sidecar: Daprd
) -> None:
    taken: list[str] = []
    over = False

    async def keep_publishing(name: str) -> None:
        number = 0
        while not over:
            number += 1
            ids = [f"{name}-{number}-{i}" for i in range(1 + number % 3)]
            answer = await publish(sidecar, *ids)
            if answer.is_success:
                taken.extend(ids)
            elif len(ids) > 1 and answer.content:
                failed = {each["entryId"] for each in answer.json().get("failedEntries", [])}
                taken.extend(set(ids) - failed if failed else ())

    async with asyncio.TaskGroup() as group:
        for name in "abcdefgh":
            group.create_task(keep_publishing(name))
        for _ in range(3):
            await asyncio.sleep(2)
            await broker.stop()
            await broker.start()
        await asyncio.sleep(2)
        over = True
    assert taken
    await until(lambda: set(taken) <= set(app.given) | set(app.buried))


async def test_what_the_broker_did_not_confirm_before_it_died_is_not_taken(broker: RabbitMq, sidecar: Daprd) -> None:
    assert (await publish(sidecar, "first")).is_success
    machines = [pid for pid in _descendants(broker.pid or 0) if "beam" in _command(pid)]
    assert machines
    try:
        _signal(machines, signal.SIGSTOP)
        asked = [asyncio.create_task(publish(sidecar, *ids)) for ids in (["alone"], ["a", "b"])]
        await asyncio.sleep(1)  # they are with the broker, which says nothing
        _signal(machines, signal.SIGKILL)
        answers = await asyncio.gather(*asked)
    finally:
        _signal(machines, signal.SIGKILL)
        await broker.stop()
        await broker.start()
    assert [answer.status_code for answer in answers] == [500, 500]


async def test_a_broker_that_is_slow_gets_an_event_once_however_often_the_sidecar_asks(
    broker: RabbitMq, app: App, sidecar: Daprd
) -> None:
    assert (await publish(sidecar, "before")).is_success
    machines = [pid for pid in _descendants(broker.pid or 0) if "beam" in _command(pid)]
    try:
        _signal(machines, signal.SIGSTOP)
        asked = [asyncio.create_task(publish(sidecar, *ids)) for ids in (["slow"], ["slow-a", "slow-b"])]
        await asyncio.sleep(8)  # the sidecar has given up its first try at both, and asks once more
    finally:
        _signal(machines, signal.SIGCONT)
    answers = await asyncio.gather(*asked)
    assert [answer.is_success for answer in answers] == [True, True]
    await until(lambda: {"slow", "slow-a", "slow-b"} <= set(app.given))
    await publish(sidecar, "behind")  # whatever was sent twice is before it in the queue
    await until(lambda: "behind" in app.given)
    assert sorted(id for id in app.given if id.startswith("slow")) == ["slow", "slow-a", "slow-b"]


async def test_a_broker_that_blocks_publishers_is_not_said_to_have_taken_anything(
    broker: RabbitMq, app: App, sidecar: Daprd
) -> None:
    await broker.control("set_vm_memory_high_watermark", "0")
    await publish(sidecar, "alarm")  # a connection is blocked by its next message, which may still be taken
    assert (await publish(sidecar, "blocked")).status_code == 500
    await broker.control("set_vm_memory_high_watermark", "absolute", "1GB")
    await until(lambda: "alarm" in app.given)
    assert (await publish(sidecar, "after")).is_success
    await until(lambda: "after" in app.given)


async def test_an_event_that_no_queue_takes_is_not_taken(sidecar: Daprd) -> None:
    answer = await publish(sidecar, "lost", topic="nobody-hears-this")
    assert answer.status_code == 500
    assert "no queue" in answer.text


async def test_what_an_app_does_not_take_waits_without_haste(app: App, sidecar: Daprd) -> None:
    app.answer = lambda _: "RETRY"
    app.dead_status = 500  # nor can its dead letters be kept
    assert (await publish(sidecar, *(f"late-{number}" for number in range(20)))).is_success
    await asyncio.sleep(15)
    said = len(sidecar.log.read_bytes().splitlines())
    assert said < 1_000, f"{said} lines in 15 s"
    app.dead_status = 200
    app.answer = lambda _: "SUCCESS"
    await until(lambda: {f"late-{number}" for number in range(20)} <= set(app.given) | set(app.buried))


def _descendants(pid: int) -> list[int]:
    """The process and all below it."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def _signal(pids: Sequence[int], sent: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sent)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


@pytest.fixture
async def with_users(tmp_path: Path) -> AsyncIterator[RabbitMq]:
    need("rabbitmq-server")
    need("daprd")
    async with RabbitMq(tmp_path / "with-users", tls=True, services=NAMES).running() as server:
        yield server


def as_user(server: RabbitMq, service: str, folder: Path, *, app: App | None = None) -> Daprd:
    """The sidecar of orders, which logs in as the user of a service: the same one, or another."""
    return Daprd(
        "orders",
        folder / service,
        app_port=None if app is None else app.port,
        resources=resources_for(Broker.RABBITMQ),
        secrets={"broker-url": server.url_of(service), "state-url": ""},
    )


async def test_a_service_has_a_user_that_tells_its_own_events_and_hears_those_for_it_alone(
    with_users: RabbitMq, app: App, tmp_path: Path
) -> None:
    assert len({with_users.url_of(each) for each in NAMES}) == len(NAMES)
    async with as_user(with_users, "orders", tmp_path, app=app).running() as sidecar:
        assert (await publish(sidecar, "told", topic="order-events")).status_code == 204
        assert (await publish(sidecar, "forged", topic="payment-events")).status_code >= 500
    async with as_user(with_users, "payments", tmp_path).running() as payments:
        assert (await publish(payments, "paid", topic="payment-events")).status_code == 204
        assert (await publish(payments, "forged", topic="order-events")).status_code >= 500
    async with as_user(with_users, "orders", tmp_path, app=app).running():
        await until(lambda: "paid" in app.given)


async def test_of_all_users_of_services_new_ones_are_let_in_and_the_former_no_more(with_users: RabbitMq) -> None:
    before = {each: urlsplit(with_users.url_of(each)) for each in NAMES}
    monitor = urlsplit(with_users.management_url)
    former = await with_users.renew_login()
    after = {each: urlsplit(with_users.url_of(each)) for each in NAMES}
    for each in (*before.values(), *after.values(), urlsplit(with_users.management_url)):
        await with_users.control("authenticate_user", str(each.username), str(each.password))
    await with_users.end_login(former)
    for one in (*before.values(), monitor):
        with pytest.raises(CalledProcessError):
            await with_users.control("authenticate_user", str(one.username), str(one.password))
    await with_users.control("authenticate_user", str(after["orders"].username), str(after["orders"].password))


def test_no_user_of_a_service_may_make_or_end_anything() -> None:
    for service in NAMES:
        may = permissions_of(service)
        assert not re.match(may["configure"], "order-events")
        told = [topic for topic in TOPICS if re.match(may["write"], topic)]
        assert told == topics_told(service)

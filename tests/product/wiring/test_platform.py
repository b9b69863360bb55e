"""The platform: all services over real adapters in one process, or one of them alone."""

import asyncio
import os
import stat
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.listening import LOOPBACK, listening
from tests.patience import until
from tests.product.wiring.platforms import BEHIND_A_SIDECAR, ELSEWHERE, REQUEST, buy, put_on, running, settings, story

from cludale.adapters.sqlite import StoreInUse
from cludale.ports.records import Query, StoreUnavailable
from cludale.services import NAMES
from cludale.services.concerts.directory import Search
from cludale.services.orders.order import OrderRequest, Status
from cludale.wiring.platform import Platform
from cludale.wiring.settings import SmtpEncryption

HAPPY = [
    "SeatsReserved",
    "OrderPlaced",
    "TicketReserved",
    "PaymentCompleted",
    "SeatsSold",
    "OrderPaid",
    "NotificationSent",
    "TicketIssued",
]


async def test_an_order_goes_from_order_to_ticket_through_all_services(tmp_path: Path) -> None:
    async with running(tmp_path) as platform:
        await put_on(platform)
        order = await buy(platform)
        assert order.status is Status.RESERVED
        assert (await platform.orders.news.settled(order.id, wait_seconds=5)).status is Status.PAID
        await until(lambda: platform.relay.lag == 0)
        told = await story(platform, order)
        assert sorted(told) == sorted(HAPPY)
        assert told.index("TicketReserved") < told.index("PaymentCompleted") < told.index("SeatsSold")
        assert told[-3] == "OrderPaid"
        assert set(told[-2:]) == {"NotificationSent", "TicketIssued"}


def modes(folder: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


async def test_the_data_folder_is_its_owners_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with running(data) as platform:
        await put_on(platform)
        await buy(platform)
        assert modes(tmp_path) == {"data": 0o700}
        found = modes(data)
        assert {"cludale.db", "cludale.db-wal", "simulated-provider.db"} <= found.keys()
        assert set(found.values()) == {0o600}


async def test_the_mode_of_a_folder_that_is_there_stays(tmp_path: Path) -> None:
    data = tmp_path / "data"
    os.mkdir(data, 0o750)
    async with running(data):
        assert modes(tmp_path) == {"data": 0o750}


async def test_an_order_goes_all_the_way_over_postgresql(tmp_path: Path, database_url: str) -> None:
    for round_ in range(2):
        async with running(tmp_path, database_url=database_url) as platform:
            if not round_:
                await put_on(platform)
            order = await buy(platform)
            assert (await platform.orders.news.settled(order.id, wait_seconds=5)).status is Status.PAID
            await until(lambda: platform.relay.lag == 0)
            assert sorted(await story(platform, order)) == sorted(HAPPY)
            assert not (tmp_path / "cludale.db").exists()


async def test_services_apart_have_a_schema_each(tmp_path: Path, database_url: str) -> None:
    async with (
        running(tmp_path, ["concerts"], database_url=database_url) as concerts,
        running(tmp_path, ["orders"], **ELSEWHERE, database_url=database_url, reserve_timeout_seconds=0.2) as orders,
    ):
        await put_on(concerts)
        assert (await buy(orders)).status is Status.PENDING
        assert len(await concerts.store.pending(0, 10)) == 1
        assert len(await orders.store.pending(0, 10)) == 1


async def test_a_database_that_is_not_there_is_said(tmp_path: Path) -> None:
    platform = Platform(settings(tmp_path, database_url="postgresql://cludale@127.0.0.1:1/x?sslmode=perhaps"))
    with pytest.raises(StoreUnavailable, match="sslmode"):
        await platform.start()
    await platform.stop()


async def test_what_was_under_way_when_it_stopped_is_finished_after_the_next_start(tmp_path: Path) -> None:
    async with running(tmp_path) as platform:
        await put_on(platform)
        orders = await asyncio.gather(*(buy(platform, 1) for _ in range(8)))
    async with running(tmp_path) as platform:
        for order in orders:
            assert (await platform.orders.news.settled(order.id, wait_seconds=10)).status is Status.PAID
        await until(lambda: platform.relay.lag == 0)
        for order in orders:
            assert sorted(await story(platform, order)) == sorted(HAPPY)
    async with running(tmp_path) as platform:
        assert await platform.store.pending(0, 10) == []


async def test_keys_are_kept_with_the_data(tmp_path: Path) -> None:
    async with running(tmp_path, organizer_key=None) as platform:
        key, token = platform.access.organizer_key, platform.access.token_for("order-1")
        assert (tmp_path / "organizer.key").read_text().strip() == key
    async with running(tmp_path, organizer_key=None) as platform:
        assert (platform.access.organizer_key, platform.access.token_for("order-1")) == (key, token)


async def test_two_servers_never_share_a_data_folder(tmp_path: Path) -> None:
    async with running(tmp_path):
        with pytest.raises(StoreInUse):
            Platform(settings(tmp_path))


@pytest.mark.parametrize("service", NAMES)
async def test_each_service_can_be_started_alone(tmp_path: Path, service: str) -> None:
    async with running(tmp_path, [service], **ELSEWHERE) as platform:
        assert [each.name for each in platform.services] == [service]
        assert platform.ready
        assert not platform.whole


async def test_an_order_alone_waits_for_concerts_that_is_away(tmp_path: Path) -> None:
    async with running(tmp_path, ["orders"], **ELSEWHERE, reserve_timeout_seconds=0.2) as platform:
        order = await buy(platform)
        assert order.status is Status.PENDING
        assert [each.status for each in (await platform.orders.finder.find(Query()))[0]] == [Status.PENDING]


async def test_a_service_alone_keeps_its_events_for_whoever_delivers_them(tmp_path: Path) -> None:
    async with running(tmp_path, ["concerts"]) as platform:
        await put_on(platform)
    async with running(tmp_path) as platform:
        await until(lambda: platform.relay.published == 1)


async def test_without_a_sidecar_what_is_due_is_done_whatever_is_said_of_events(tmp_path: Path) -> None:
    soon = {"sweep_seconds": 0.02, "pending_backoff_seconds": 0.02, "reserve_timeout_seconds": 0.2}
    async with running(tmp_path, ["orders"], **ELSEWHERE, **soon, consume=False) as platform:
        order = await buy(platform)
        asked_once = (await platform.orders.order(order.id)).tries
        async with asyncio.timeout(20):
            while (await platform.orders.order(order.id)).tries == asked_once:  # noqa: ASYNC110 - a sweep tells nobody
                await asyncio.sleep(0.05)


async def test_the_demo_is_put_on_once_in_an_empty_store(tmp_path: Path) -> None:
    for _ in range(2):
        async with running(tmp_path, demo=True) as platform:
            shown, _ = await platform.concerts.directory.search(Search())
            assert len(shown) == 3


async def test_the_demo_leaves_a_store_with_concerts_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as platform:
        await put_on(platform)
    async with running(tmp_path, demo=True) as platform:
        shown, _ = await platform.concerts.directory.search(Search())
        assert [standing.concert.id for standing in shown] == ["concert-1"]


async def test_the_operator_sees_what_is_under_way(tmp_path: Path) -> None:
    async with running(tmp_path) as platform:
        await put_on(platform)
        order = await buy(platform)
        await platform.orders.news.settled(order.id, wait_seconds=5)
        await until(lambda: platform.relay.lag == 0)
        gauges = platform.gauges()
        assert gauges["cludale_events_under_way"] == 0
        assert gauges["cludale_events_published_total"] == 9
        assert gauges["cludale_dead_letters_total"] == 0
        assert {f'cludale_queue_depth{{service="{name}"}}' for name in NAMES} <= set(gauges)


async def test_an_unknown_payment_method_is_declined_and_the_seats_stay_held(tmp_path: Path) -> None:
    async with running(tmp_path) as platform:
        await put_on(platform)
        order = await buy(platform, method="pebbles")
        held = await platform.orders.news.settled(order.id, wait_seconds=3)
        assert held.payment is not None
        assert (held.status, held.payment.status) == (Status.RESERVED, "Declined")


async def test_a_service_whose_sidecar_is_away_is_not_ready_and_keeps_its_events(tmp_path: Path) -> None:
    async with running(tmp_path, ["concerts"], **BEHIND_A_SIDECAR) as platform:
        await put_on(platform)
        assert not platform.ready
        assert len(await platform.store.pending(0, 10)) == 1


@pytest.mark.parametrize(("encryption", "first"), [("none", b"EHLO"), ("starttls", b"EHLO"), ("tls", b"\x16\x03")])
async def test_e_mails_go_by_the_encryption_of_the_settings(tmp_path: Path, encryption: str, first: bytes) -> None:
    heard: list[bytes] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if encryption != "tls":
            writer.write(b"220 mail.test\r\n")
        heard.append(await reader.read(100))
        writer.write(b"250 mail.test\r\n")
        heard.append(await reader.read(100))

    async with AsyncExitStack() as there:
        port = await there.enter_async_context(listening(converse))
        mail: dict[str, Any] = {"smtp_host": LOOPBACK, "smtp_port": port, "smtp_encryption": SmtpEncryption(encryption)}
        platform = await there.enter_async_context(running(tmp_path, **mail))
        await put_on(platform)
        wanted = OrderRequest(concert_id="concert-1", user_id="user-1", quantity=1, email="zoe@example.org")
        await platform.orders.place(wanted, cause=REQUEST)
        await until(lambda: len(heard) >= 2)
    assert heard[0].startswith(first)
    assert heard[1].startswith(b"MAIL FROM") == (encryption == "none")

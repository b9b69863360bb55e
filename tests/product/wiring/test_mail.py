"""Orders whose buyers left an address, and a real mail server: what arrives, and what a bad server can't lose."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP
from tests.product.adapters.smtp.test_smtp_mailer import Full, Server, Silent, listening
from tests.product.wiring.platforms import REQUEST, put_on, running

from cludale.ports.records import Query
from cludale.services import NAMES
from cludale.services.notifications.domain import Notification, Status
from cludale.services.notifications.store import NOTIFICATIONS
from cludale.services.orders.order import Order, OrderRequest
from cludale.wiring.platform import Platform
from cludale.wiring.settings import SmtpEncryption

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 30


async def buy(platform: Platform, number: int = 1) -> Order:
    wanted = OrderRequest(concert_id="concert-1", user_id="user-1", quantity=2, email=f"buyer-{number}@example.org")
    return await platform.orders.place(wanted, cause=REQUEST)


async def told(platform: Platform) -> list[Notification]:
    found, _ = await NOTIFICATIONS.find(platform.store, Query(limit=1_000))
    return [each.state for each in found]


async def all_are(platform: Platform, status: Status, count: int) -> list[Notification]:
    """The notifications, once so many are there and all of them are that."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = await told(platform)
            if len(found) == count and all(each.status is status for each in found):
                return found
            await asyncio.sleep(0.05)


@asynccontextmanager
async def selling(folder: Path, port: int, **changes: object) -> AsyncIterator[Platform]:
    mail = {
        "smtp_host": "127.0.0.1",
        "smtp_port": port,
        "smtp_encryption": SmtpEncryption.NONE,
        "smtp_timeout_seconds": 1,
        "message_backoff_seconds": 0.05,
        "message_backoff_max_seconds": 0.2,
        "max_per_order": 8,
    } | changes
    async with running(folder, NAMES, **mail) as platform:
        await put_on(platform, seats=1_000)
        yield platform


async def test_one_message_says_all_of_a_ticket_and_its_receipt(tmp_path: Path) -> None:
    server = Server()
    async with (
        listening(lambda: SMTP(server, loop=asyncio.get_running_loop())) as port,
        selling(tmp_path, port) as platform,
    ):
        order = await buy(platform)
        (note,) = await all_are(platform, Status.SENT, 1)
    (mail,) = server.taken
    assert mail["Subject"] == "Your tickets: The Larks, Saturday, June 5, 2027"
    said = [part for part in mail.walk() if part.get_content_maintype() == "text"]
    for part in said[:2]:
        content = part.get_content()
        assert all(each in content for each in ("The Larks", "Stalls", "€45.00 each", "€90.00", order.id))
        assert note.payment_id is not None
        assert note.payment_id in content
    assert [part.get_content_type() for part in said] == ["text/plain", "text/html", "text/calendar"]


async def test_a_server_that_takes_five_connections_gets_all_messages(tmp_path: Path) -> None:
    server, here = Server(), 0

    class OneOfFive(SMTP):
        def connection_lost(self, error: Exception | None) -> None:
            nonlocal here
            here -= 1
            super().connection_lost(error)

    def protocol() -> SMTP | Silent:
        nonlocal here
        if here == 5:
            return Full()
        here += 1
        return OneOfFive(server, loop=asyncio.get_running_loop())

    async with listening(protocol) as port, selling(tmp_path, port, smtp_connections=16) as platform:
        for number in range(200):
            await buy(platform, number)
        await all_are(platform, Status.SENT, 200)
    assert len(server.taken) == len({mail["To"] for mail in server.taken}) == 200


@pytest.mark.parametrize("trouble", ["refuses", "says nothing", "turns away"])
async def test_what_a_server_does_not_take_for_a_while_is_sent_when_it_does(tmp_path: Path, trouble: str) -> None:
    server, is_well = Server(), False

    class Away(Silent):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            assert isinstance(transport, asyncio.Transport)
            if trouble == "refuses":
                transport.abort()
            elif trouble == "turns away":
                transport.write(b"421 not today\r\n")
                transport.close()

    def protocol() -> SMTP | Silent:
        return SMTP(server, loop=asyncio.get_running_loop()) if is_well else Away()

    async with listening(protocol) as port, selling(tmp_path, port, smtp_timeout_seconds=0.2) as platform:
        for number in range(20):
            await buy(platform, number)
        await all_are(platform, Status.PENDING, 20)
        await asyncio.sleep(2)
        assert {each.status for each in await told(platform)} == {Status.PENDING}
        assert platform.gauges()["cludale_messages_paused"] == 1
        is_well = True
        await all_are(platform, Status.SENT, 20)
        assert platform.gauges()["cludale_messages_paused"] == 0
        assert platform.gauges()["cludale_messages_failed_total"] == 0
    assert len(server.taken) == 20


async def test_an_address_that_is_refused_for_good_is_failed_and_seen(tmp_path: Path) -> None:
    server = Server()
    server.to_recipient = "550 5.1.1 no such mailbox"
    async with (
        listening(lambda: SMTP(server, loop=asyncio.get_running_loop())) as port,
        selling(tmp_path, port) as platform,
    ):
        await buy(platform)
        (failed,) = await all_are(platform, Status.FAILED, 1)
        assert failed.detail == "550 5.1.1 no such mailbox"
        async with asyncio.timeout(10):
            while platform.gauges()["cludale_messages_failed_total"] != 1:  # noqa: ASYNC110 - it counts what is committed
                await asyncio.sleep(0.01)

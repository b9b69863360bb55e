"""The wiring: all services over real adapters in one process, or one of them alone."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.adapters.dapr.double import SidecarDouble
from tests.patience import until

from cludale.adapters.sqlite import StoreInUse
from cludale.compose import KINDS, SERVICES, MissingSetting, Platform, with_secrets
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.ports.records import Query, StoreUnavailable
from cludale.services.audit.service import Audit
from cludale.services.concerts.domain import Concert
from cludale.services.concerts.events import SectionPlan
from cludale.services.concerts.service import Search
from cludale.services.orders.domain import Order, Status, Wish
from cludale.settings import Settings

REQUEST = Cause()
ELSEWHERE = {"concerts_url": "http://127.0.0.1:9", "orders_url": "http://127.0.0.1:9"}
HAPPY = [
    "SeatsReserved",
    "OrderPlaced",
    "TicketReserved",
    "PaymentCompleted",
    "SeatsSold",
    "OrderPaid",
    "NotificationSent",
]


def settings(folder: Path, **changes: object) -> Settings:
    known = {
        "data_dir": folder,
        "sweep_seconds": 0.05,
        "payment_attempt_seconds": 0.3,
        "organizer_key": "organizer",
    } | changes
    return Settings(**known)  # type: ignore[arg-type] # the caller's are of the right types


@asynccontextmanager
async def running(folder: Path, only: Collection[str] = SERVICES, **changes: object) -> AsyncIterator[Platform]:
    platform = Platform(settings(folder, **changes), only)
    try:
        await platform.start()
        yield platform
    finally:
        await platform.stop()


async def put_on(platform: Platform, seats: int = 10) -> None:
    plan = SectionPlan(id="stalls", name="Stalls", total_seats=seats, price=Money(4500, "EUR"))
    concert = Concert(
        id="concert-1",
        artist="The Larks",
        date="2027-06-05",
        venue=None,
        sections=(plan,),
        on_sale_at=None,
        max_per_order=8,
    )
    await platform.concerts.schedule(concert, REQUEST)


async def buy(platform: Platform, quantity: int = 2, method: str = "card-ok") -> Order:
    wish = Wish(concert_id="concert-1", user_id="user-1", quantity=quantity, payment_method=method)
    return await platform.orders.place(wish, cause=REQUEST)


async def story(platform: Platform, order: Order) -> list[str]:
    entries = await Audit(platform.store, platform.clock).story(order.id)
    return [entry.event_type for entry in entries]


async def test_an_order_goes_from_wish_to_ticket_through_all_five_services(tmp_path: Path) -> None:
    async with running(tmp_path) as platform:
        await put_on(platform)
        order = await buy(platform)
        assert order.status is Status.RESERVED
        assert (await platform.orders.settled(order.id, wait_seconds=5)).status is Status.PAID
        await until(lambda: platform.relay.lag == 0)
        told = await story(platform, order)
        assert sorted(told) == sorted(HAPPY)
        assert told.index("TicketReserved") < told.index("PaymentCompleted") < told.index("SeatsSold")
        assert told[-2:] == ["OrderPaid", "NotificationSent"]


async def test_an_order_goes_all_the_way_over_postgresql(tmp_path: Path, database_url: str) -> None:
    for round_ in range(2):
        async with running(tmp_path, database_url=database_url) as platform:
            if not round_:
                await put_on(platform)
            order = await buy(platform)
            assert (await platform.orders.settled(order.id, wait_seconds=5)).status is Status.PAID
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
            assert (await platform.orders.settled(order.id, wait_seconds=10)).status is Status.PAID
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


@pytest.mark.parametrize("service", SERVICES)
async def test_each_service_can_be_started_alone(tmp_path: Path, service: str) -> None:
    async with running(tmp_path, [service], **ELSEWHERE) as platform:
        assert [each.name for each in platform.services] == [service]
        assert platform.ready
        assert not platform.whole


@pytest.mark.parametrize(
    ("service", "variable"), [("orders", "CLUDALE_CONCERTS_URL"), ("notifications", "CLUDALE_ORDERS_URL")]
)
async def test_a_service_that_needs_another_says_which_and_leaves_the_folder_free(
    tmp_path: Path, service: str, variable: str
) -> None:
    with pytest.raises(MissingSetting, match=variable):
        Platform(settings(tmp_path), [service])
    async with running(tmp_path, [service], **ELSEWHERE) as platform:
        assert platform.ready


async def test_an_order_alone_waits_for_concerts_that_is_away(tmp_path: Path) -> None:
    async with running(tmp_path, ["orders"], **ELSEWHERE, reserve_timeout_seconds=0.2) as platform:
        order = await buy(platform)
        assert order.status is Status.PENDING
        assert [each.status for each in (await platform.orders.find(Query()))[0]] == [Status.PENDING]


async def test_a_service_alone_keeps_its_events_for_whoever_delivers_them(tmp_path: Path) -> None:
    async with running(tmp_path, ["concerts"]) as platform:
        await put_on(platform)
    async with running(tmp_path) as platform:
        await until(lambda: platform.relay.published == 1)


async def test_the_demo_is_put_on_once_in_an_empty_store(tmp_path: Path) -> None:
    for _ in range(2):
        async with running(tmp_path, demo=True) as platform:
            shown, _ = await platform.concerts.search(Search())
            assert len(shown) == 3


async def test_the_demo_leaves_a_store_with_concerts_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as platform:
        await put_on(platform)
    async with running(tmp_path, demo=True) as platform:
        shown, _ = await platform.concerts.search(Search())
        assert [standing.concert.id for standing in shown] == ["concert-1"]


async def test_the_operator_sees_what_is_under_way(tmp_path: Path) -> None:
    async with running(tmp_path) as platform:
        await put_on(platform)
        order = await buy(platform)
        await platform.orders.settled(order.id, wait_seconds=5)
        await until(lambda: platform.relay.lag == 0)
        gauges = platform.gauges()
        assert gauges["cludale_events_under_way"] == 0
        assert gauges["cludale_events_published_total"] == 8
        assert gauges["cludale_dead_letters_total"] == 0
        assert {f'cludale_queue_depth{{service="{name}"}}' for name in SERVICES} <= set(gauges)


async def test_an_unknown_payment_method_ends_the_order_soon(tmp_path: Path) -> None:
    async with running(tmp_path) as platform:
        await put_on(platform)
        order = await buy(platform, method="pebbles")
        off = await platform.orders.settled(order.id, wait_seconds=3)
        assert (off.status, off.reason) == (Status.CANCELLED, "payment-declined")


def test_no_two_kinds_of_record_share_a_name() -> None:
    names = [(kind.service, kind.name) for kind in KINDS]
    assert len(names) == len(set(names))


BEHIND_A_SIDECAR = {"dapr": True, "app_api_token": "shown-to-the-app", "dapr_http_port": 9}


async def test_behind_a_sidecar_nothing_starts_without_the_apps_token(tmp_path: Path) -> None:
    with pytest.raises(MissingSetting, match="APP_API_TOKEN"):
        Platform(settings(tmp_path, dapr=True), ["orders"])
    with pytest.raises(MissingSetting, match="CLUDALE_ORGANIZER_KEY"):
        Platform(settings(tmp_path, **BEHIND_A_SIDECAR, organizer_key=None), ["orders"])
    with pytest.raises(MissingSetting, match="APP_ID"):
        Platform(settings(tmp_path, **BEHIND_A_SIDECAR), ["orders", "concerts"])


async def test_a_service_whose_sidecar_is_away_is_not_ready_and_keeps_its_events(tmp_path: Path) -> None:
    async with running(tmp_path, ["concerts"], **BEHIND_A_SIDECAR) as platform:
        await put_on(platform)
        assert not platform.ready
        assert len(await platform.store.pending(0, 10)) == 1


async def test_a_state_store_is_for_audit_alone_behind_a_sidecar(tmp_path: Path) -> None:
    for only, changes in (
        (["audit"], {}),
        (["orders"], BEHIND_A_SIDECAR),
        (["audit"], BEHIND_A_SIDECAR | {"database_url": "postgresql://cludale@127.0.0.1:1/x"}),
    ):
        with pytest.raises(MissingSetting, match="CLUDALE_AUDIT_STATE"):
            Platform(settings(tmp_path, audit_state="state", **changes), only)


async def test_replicas_of_orders_make_the_same_access_tokens(tmp_path: Path) -> None:
    tokens = set()
    for replica in ("one", "other"):
        async with running(tmp_path / replica, ["orders"], **BEHIND_A_SIDECAR) as platform:
            tokens.add(platform.access.token_for("order-1"))
    assert len(tokens) == 1


async def test_a_secret_store_that_cant_be_asked_ends_the_start(tmp_path: Path) -> None:
    refusing = SidecarDouble(lambda path, _: (204, b"") if "healthz" in path else (500, b"ERR_SECRET_STORE_NOT_FOUND"))
    async with refusing.listening():
        wanted = settings(tmp_path, secrets="secrets", dapr_http_port=refusing.port)
        with pytest.raises(MissingSetting, match="CLUDALE_SECRETS"):
            await with_secrets(wanted)


async def test_secrets_fill_what_is_not_set(tmp_path: Path) -> None:
    def answer(path: str, _: bytes) -> tuple[int, bytes]:
        return (200, b'{"token-key":"from-the-store"}') if path.endswith("/token-key") else (204, b"")

    async with SidecarDouble(answer).listening() as store:
        found = await with_secrets(settings(tmp_path, secrets="secrets", dapr_http_port=store.port))
    assert found.token_key == "from-the-store"
    assert found.organizer_key == "organizer"
    assert not any(path.endswith("/organizer-key") for path, _ in store.requests)


@pytest.mark.parametrize(("protocol", "is_warned"), [("grpc", True), ("http/protobuf", False)])
async def test_a_protocol_that_is_not_spoken_to_the_collector_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, protocol: str, *, is_warned: bool
) -> None:
    async with running(tmp_path, otlp_endpoint="http://127.0.0.1:9", otlp_protocol=protocol):
        pass
    assert ("OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not spoken here" in caplog.text) == is_warned

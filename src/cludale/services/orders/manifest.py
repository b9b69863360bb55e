"""Orders as data: what the rest of the platform has to know of it."""

from cludale.services.manifest import HttpParts, Manifest, Parts, Probe, Running
from cludale.services.orders import aftersale_api, api, privacy_api
from cludale.services.orders.comparison import Comparison
from cludale.services.orders.events import TOPIC
from cludale.services.orders.replay import OrdersReplay
from cludale.services.orders.service import HANDLERS, Orders
from cludale.services.orders.store import KINDS


def _build(parts: Parts) -> Running:
    policies = parts.policies
    comparison = Comparison(
        parts.records("orders"),
        clock=parts.clock,
        ids=parts.ids,
        charges=parts.charges,
        sales=parts.sales,
        every_seconds=policies.compare_seconds,
        after_seconds=policies.compare_after_seconds,
    )
    orders = Orders(
        parts.records("orders"),
        clock=parts.clock,
        ids=parts.ids,
        seats=parts.seats,
        pending_backoff=policies.pending_backoff,
        pending_seconds=policies.pending_seconds,
        call_seconds=policies.call_seconds,
        look_again_seconds=policies.look_again_seconds,
        admission=parts.admission,
        comparison=comparison,
        seals=parts.seals,
        programme=parts.programme,
        retention_days=policies.retention_days,
        walks=policies.walks,
        file=parts.file,
        takes_work=parts.takes_work,
        buyers=parts.buyers,
        closing=parts.sale_closing,
        call_off_rate=policies.call_off_rate,
        watch_seconds=policies.call_off_watch_seconds,
    )
    return Running(
        orders,
        orders.handle,
        orders.sweep,
        orders.stop,
        prepare=orders.prepare,
        end_waiting=orders.end_waiting,
        gauges=lambda: {**comparison.gauges(), **orders.gauges()},
    )


_STATUS = {**api.STATUS, **aftersale_api.STATUS}


def _api(orders: Orders, parts: HttpParts) -> tuple[api.OrdersApi, aftersale_api.AftersaleApi, privacy_api.PrivacyApi]:
    records = parts.records("orders")
    first = api.OrdersApi(
        orders, records, parts.access, parts.ownership, methods=parts.payment_methods, address=parts.address
    )
    return (
        first,
        aftersale_api.AftersaleApi(orders, first, records, _STATUS),
        privacy_api.PrivacyApi(orders, parts.ownership),
    )


MANIFEST = Manifest(
    name="orders",
    about="Orders and their life: Pending, Reserved, Paid, Cancelled",
    topic=TOPIC,
    handlers=HANDLERS,
    kinds=KINDS,
    replay=OrdersReplay(),
    needs=("concerts",),
    build=_build,
    api=_api,
    statuses=_STATUS,
    probes=(
        Probe("POST", "/orders", 422),
        Probe("GET", "/orders/smoke-test-of-nothing", 404),
        Probe("GET", "/orders?limit=1", 200, as_organizer=True),
    ),
)

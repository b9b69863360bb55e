"""Orders as data: what the rest of the platform has to know of it."""

from cludale.runtime.aggregates import Updates
from cludale.runtime.due import PutOff
from cludale.services.manifest import HttpParts, Manifest, Parts, Probe, Running
from cludale.services.orders import api, box_office_api
from cludale.services.orders.aftersale import api as aftersale_api
from cludale.services.orders.carts import api as cart_api
from cludale.services.orders.comparison import Comparison
from cludale.services.orders.due import PendingLimits
from cludale.services.orders.events import TOPIC
from cludale.services.orders.guests import api as guest_api
from cludale.services.orders.guests.service import GuestLists
from cludale.services.orders.invoices.api import InvoicesApi
from cludale.services.orders.invoices.due import DueBillings
from cludale.services.orders.invoices.service import Invoicing, Pace
from cludale.services.orders.invoices.settings_api import STATUS as INVOICING_STATUS
from cludale.services.orders.invoices.settings_api import InvoicingApi
from cludale.services.orders.invoices.store import KINDS as INVOICE_KINDS
from cludale.services.orders.jobs.due import CallingOff
from cludale.services.orders.privacy import api as privacy_api
from cludale.services.orders.privacy.retention import RetentionPeriod
from cludale.services.orders.replay import OrdersReplay
from cludale.services.orders.reports.api import STATUS as REPORT_STATUS
from cludale.services.orders.reports.api import ReportsApi
from cludale.services.orders.reports.desk import Schedules
from cludale.services.orders.reports.mailing import Mailing
from cludale.services.orders.reports.schedule_api import STATUS as SCHEDULE_STATUS
from cludale.services.orders.reports.schedule_api import SchedulesApi
from cludale.services.orders.reports.service import Reports
from cludale.services.orders.reports.store import KINDS as REPORT_KINDS
from cludale.services.orders.service import HANDLERS, Orders
from cludale.services.orders.store import KINDS


def _build(parts: Parts) -> Running:
    policies = parts.policies
    days = policies.retention_days
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
        pending=PendingLimits(policies.pending_backoff, policies.pending_seconds, policies.call_seconds),
        look_again_seconds=policies.look_again_seconds,
        admission=parts.admission,
        comparison=comparison,
        seals=parts.seals,
        retention=None if days is None else RetentionPeriod(days, parts.programme),
        walks=policies.walks,
        file=parts.file,
        takes_work=parts.takes_work,
        buyers=parts.buyers,
        cart_look_seconds=policies.compare_after_seconds,
        entrance=parts.entrance,
        calling_off=CallingOff(parts.sale_closing, policies.call_off_rate, policies.call_off_watch_seconds),
    )
    reports = Reports(parts.records("orders"), clock=parts.clock, programme=parts.programme, privacy=orders.privacy)
    orders.report_by(reports, _schedules(parts, reports))
    if policies.invoice_look_seconds is not None:
        orders.invoice_by(_invoicing(parts, orders, policies.invoice_look_seconds))
    return Running(
        orders,
        orders.handle,
        orders.sweep,
        orders.stop,
        prepare=orders.prepare,
        end_waiting=orders.news.end,
        gauges=lambda: {**comparison.gauges(), **orders.gauges()},
    )


def _schedules(parts: Parts, reports: Reports) -> Schedules:
    policies = parts.policies
    mailing = Mailing(
        reports,
        clock=parts.clock,
        seals=parts.seals,
        mailer=parts.mailer,
        send_seconds=parts.send_seconds,
        put_off=PutOff(policies.message_backoff, parts.ids),
        public_url=policies.public_url,
    )
    updates = Updates("orders", parts.records("orders"), clock=parts.clock, ids=parts.ids)
    return Schedules(updates, parts.seals, mailing, takes_work=parts.takes_work)


def _invoicing(parts: Parts, orders: Orders, look_seconds: float) -> Invoicing:
    updates = Updates("orders", parts.records("orders"), clock=parts.clock, ids=parts.ids)
    put_off = PutOff(parts.policies.message_backoff, parts.ids)
    policy = DueBillings(updates, parts.programme, orders.privacy, put_off)
    pace = Pace(look_seconds, is_alone=parts.file is not None)
    return Invoicing(updates, policy, pace=pace, pages=parts.invoice_pages, takes_work=parts.takes_work)


_STATUS = {
    **api.STATUS,
    **cart_api.STATUS,
    **guest_api.STATUS,
    **aftersale_api.STATUS,
    **REPORT_STATUS,
    **SCHEDULE_STATUS,
    **INVOICING_STATUS,
}


def _api(orders: Orders, parts: HttpParts) -> tuple[object, ...]:
    records = parts.records("orders")
    first = api.OrdersApi(
        orders,
        records,
        parts.access,
        parts.ownership,
        methods=parts.payment_methods,
        address=parts.address,
        partitions_apart=parts.policies.partitions_apart,
    )
    invoices: tuple[object, ...] = ()
    if orders.invoicing is not None:
        invoices = (
            InvoicingApi(orders.invoicing),
            InvoicesApi(orders.invoicing, orders.privacy, parts.access, parts.ownership),
        )
    return (
        first,
        aftersale_api.AftersaleApi(orders, first, records, _STATUS),
        box_office_api.BoxOfficeApi(first, parts.ownership),
        cart_api.CartsApi(
            orders, first, records, _STATUS, parts.access, parts.ownership, methods=parts.payment_methods
        ),
        guest_api.GuestsApi(GuestLists(orders, records), parts.ownership),
        privacy_api.PrivacyApi(orders, parts.ownership),
        ReportsApi(orders.reports, parts.ownership),
        SchedulesApi(orders.reports, orders.schedules, parts.ownership),
        *invoices,
    )


MANIFEST = Manifest(
    name="orders",
    about="Orders and their life: Pending, Reserved, Paid, Cancelled",
    topic=TOPIC,
    handlers=HANDLERS,
    kinds=(*KINDS, *REPORT_KINDS, *INVOICE_KINDS),
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

"""Payments as data: what the rest of the platform has to know of it."""

from cludale.services.manifest import HttpParts, Manifest, Parts, Probe, Running
from cludale.services.payments import api, provider_api, reconciliation_api
from cludale.services.payments.events import TOPIC
from cludale.services.payments.payment import AttemptLimits
from cludale.services.payments.reconciling import ReconciliationTimes
from cludale.services.payments.replay import PaymentsReplay
from cludale.services.payments.service import Payments
from cludale.services.payments.store import KINDS


def _build(parts: Parts) -> Running:
    policies = parts.policies
    payments = Payments(
        parts.records("payments"),
        clock=parts.clock,
        ids=parts.ids,
        gateway=parts.gateway,
        sales=parts.sales,
        limits=AttemptLimits(
            policies.payment_attempts, policies.payment_attempt_seconds, retell_seconds=policies.compare_after_seconds
        ),
        backoff=policies.payment_backoff,
        hold_seconds=policies.hold_seconds,
        reconciliations=ReconciliationTimes(
            policies.reconcile_seconds,
            policies.reconcile_window_seconds,
            policies.reconcile_tolerance_seconds,
            policies.reconcile_look_seconds,
        ),
        takes_work=parts.takes_work,
    )
    return Running(payments, payments.handle, payments.sweep, payments.stop, gauges=payments.gauges)


def _api(
    payments: Payments, parts: HttpParts
) -> tuple[api.PaymentsApi, provider_api.ProviderApi, reconciliation_api.ReconciliationApi]:
    return (
        api.PaymentsApi(payments, parts.records("payments"), parts.ownership, methods=parts.payment_methods),
        provider_api.ProviderApi(payments, parts.access, parts.ownership),
        reconciliation_api.ReconciliationApi(payments.reconciling),
    )


MANIFEST = Manifest(
    name="payments",
    about="Money taken and given back",
    topic=TOPIC,
    handlers=Payments.HANDLERS,
    kinds=KINDS,
    replay=PaymentsReplay(),
    needs=("concerts",),
    build=_build,
    api=_api,
    statuses={**api.STATUS, **provider_api.STATUS, **reconciliation_api.STATUS},
    probes=(Probe("GET", "/payments?orderId=smoke-test-of-nothing", 200, as_organizer=True),),
)

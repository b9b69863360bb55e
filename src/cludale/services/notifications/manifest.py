"""Notifications as data: what the rest of the platform has to know of it."""

from datetime import timedelta
from typing import NamedTuple

from cludale.services.manifest import HttpParts, Manifest, Parts, Probe, Running
from cludale.services.notifications import api, template_api
from cludale.services.notifications.due import SendingLimits
from cludale.services.notifications.events import TOPIC
from cludale.services.notifications.letters import Letters
from cludale.services.notifications.replay import NotificationsReplay
from cludale.services.notifications.service import HANDLERS, Notifications
from cludale.services.notifications.store import KINDS
from cludale.services.notifications.webhooks import api as webhooks_api
from cludale.services.notifications.webhooks import service as webhooks_service
from cludale.services.notifications.webhooks.deliveries import DeliveryLimits
from cludale.services.notifications.webhooks.service import Webhooks


def _build(parts: Parts) -> Running:
    policies = parts.policies
    notifications = Notifications(
        parts.records("notifications"),
        clock=parts.clock,
        ids=parts.ids,
        contacts=parts.contacts,
        programme=parts.programme,
        mailer=parts.mailer,
        texts=parts.texts,
        letters=Letters(sender=policies.message_sender, link=parts.order_link, language=policies.message_language),
        limits=SendingLimits(
            policies.ask_seconds, parts.send_seconds, policies.message_seconds, policies.messages_at_once
        ),
        backoff=policies.message_backoff,
        patience=policies.receipt_patience,
        takes_work=parts.takes_work,
    )
    webhooks = _webhooks(parts)

    async def sweep() -> int:
        return await notifications.due.sweep() + await webhooks.sweep()

    async def stop() -> None:
        await notifications.due.stop()
        await webhooks.due.stop()

    return Running(
        Notifying(notifications, webhooks),
        webhooks_service.both(notifications.handle, BUYERS_ARE_TOLD, webhooks),
        sweep,
        stop,
        gauges=lambda: {**notifications.gauges(), **webhooks.gauges()},
    )


class Notifying(NamedTuple):
    """What is told: to buyers, and to organizers' servers."""

    notifications: Notifications
    webhooks: Webhooks


BUYERS_ARE_TOLD = frozenset(each.__name__ for each in HANDLERS)
"""The events of which buyers are told, by name; the others are webhooks' alone."""


def _webhooks(parts: Parts) -> Webhooks:
    policies = parts.policies
    return Webhooks(
        parts.records("notifications"),
        clock=parts.clock,
        ids=parts.ids,
        programme=parts.programme,
        sender=parts.webhooks,
        mailer=parts.mailer,
        seals=parts.seals,
        random_bytes=parts.random_bytes,
        limits=DeliveryLimits(
            policies.webhook_schedule,
            policies.webhook_attempt_seconds,
            parts.send_seconds,
            stop_after=timedelta(seconds=policies.webhook_stop_seconds),
            keep=timedelta(days=policies.webhook_keep_days),
        ),
        takes_work=parts.takes_work,
    )


def _api(told: Notifying, parts: HttpParts) -> tuple[object, ...]:
    return (
        api.NotificationsApi(told.notifications, parts.ownership),
        template_api.TemplatesApi(told.notifications.templates),
        webhooks_api.WebhooksApi(told.webhooks, parts.ownership),
    )


MANIFEST = Manifest(
    name="notifications",
    about="What buyers were told",
    topic=TOPIC,
    handlers={**webhooks_service.HANDLERS, **HANDLERS},
    kinds=KINDS,
    replay=NotificationsReplay(),
    needs=("concerts", "orders"),
    build=_build,
    api=_api,
    statuses={**api.STATUS, **template_api.STATUS, **webhooks_api.STATUS},
    probes=(Probe("GET", "/notifications?orderId=smoke-test-of-nothing", 200, as_organizer=True),),
)

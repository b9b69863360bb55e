"""Notifications as data: what the rest of the platform has to know of it."""

from cludale.services.manifest import HttpParts, Manifest, Parts, Probe, Running
from cludale.services.notifications import api, template_api
from cludale.services.notifications.events import TOPIC
from cludale.services.notifications.letters import Letters
from cludale.services.notifications.replay import NotificationsReplay
from cludale.services.notifications.service import HANDLERS, Notifications
from cludale.services.notifications.store import KINDS


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
        letters=Letters(sender=policies.message_sender, link=parts.order_link),
        language=policies.message_language,
        ask_seconds=policies.ask_seconds,
        send_seconds=parts.send_seconds,
        try_seconds=policies.message_seconds,
        backoff=policies.message_backoff,
        patience=policies.receipt_patience,
        concurrency=policies.messages_at_once,
        takes_work=parts.takes_work,
    )
    return Running(
        notifications,
        notifications.handle,
        notifications.due.sweep,
        notifications.due.stop,
        gauges=notifications.gauges,
    )


def _api(notifications: Notifications, parts: HttpParts) -> object:
    return api.NotificationsApi(notifications, parts.ownership), template_api.TemplatesApi(notifications.templates)


MANIFEST = Manifest(
    name="notifications",
    about="What buyers were told",
    topic=TOPIC,
    handlers=HANDLERS,
    kinds=KINDS,
    replay=NotificationsReplay(),
    needs=("concerts", "orders"),
    build=_build,
    api=_api,
    statuses={**api.STATUS, **template_api.STATUS},
    probes=(Probe("GET", "/notifications?orderId=smoke-test-of-nothing", 200, as_organizer=True),),
)

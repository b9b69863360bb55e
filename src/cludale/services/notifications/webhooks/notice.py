"""What an organizer reads when an endpoint is stopped. No I/O or clock."""

from urllib.parse import urlsplit

from cludale.kernel.ids import from_key
from cludale.kernel.times import rfc3339
from cludale.ports.messengers import Message
from cludale.services.notifications.events import WebhookStopReason
from cludale.services.notifications.webhooks.endpoints import Endpoint


def id_of(endpoint: Endpoint, *, stops: int | None = None) -> str:
    """The id of the message about the endpoint's next stop; `stops`: about the one after that many stops."""
    return from_key("message", "stopped", endpoint.id, str(endpoint.stops if stops is None else stops))


def message(endpoint: Endpoint, to: str) -> Message:
    """The e-mail. Of the URL it names the host alone: the rest may hold a token."""
    host = urlsplit(endpoint.url).hostname or "?"
    since = "" if endpoint.failing_since is None else f" It has taken nothing since {rfc3339(endpoint.failing_since)}."
    why = (
        "It answered 410 (Gone), which says that it wants nothing any more."
        if endpoint.stopped is WebhookStopReason.GONE
        else f"Nothing could be delivered to it for days.{since}"
    )
    text = (
        f"Hello,\n\nthe webhook {endpoint.id} to {host} was switched off. {why}\n\n"
        "Nothing is sent to it, and nothing is kept for it, until it is switched on again:\n\n"
        f"  cludale webhooks change {endpoint.id} --on\n\n"
        "What failed before is listed, and can be sent again:\n\n"
        f"  cludale webhooks deliveries --webhook {endpoint.id} --status Failed\n"
        f"  cludale webhooks resend --webhook {endpoint.id} --all\n"
    )
    return Message(id_of(endpoint, stops=endpoint.stops - 1), to, f"Webhook to {host} switched off", text)

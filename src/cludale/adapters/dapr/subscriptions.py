"""What `/dapr/subscribe` answers: the topics that the services here hear, made from their manifests and the catalogue.

One route a topic, and the type is looked at here: a rule in the sidecar (CEL) would need to take every event apart,
and what matches none goes to the dead-letter topic. The types that nobody here hears are named in the metadata, and
our sidecar's components leave them out (`tools/daprd/unheard`). Dapr's own ignore that, and all of it comes here.
Events come as the bytes that were published (`rawPayload`), in bulk. Each app has its own dead-letter topic, and hears
that too: see inbound.py.
"""

from collections.abc import Collection, Mapping
from typing import Any

from cludale.kernel.events import Catalogue, Topic

EVENTS_PATH = "/dapr/events/"
DEAD_LETTERS_PATH = "/dapr/dead-letters"
BULK_EVENTS = 100
BULK_WAIT_MILLISECONDS = 15
"""The sidecar collects a bulk for so long. Each step of an order waits half of that when there is little to do."""

SERVICE_BUS_EVENTS = 50
"""Dapr puts a bulk that failed to the dead letters in one batch. Service Bus takes 128 KiB of that: with the properties
that Dapr adds, fewer than 100 of our events."""

_RAW = {"rawPayload": "true"}
_UNHEARD = "unheardTypes"
"""Which types of a topic a service does not hear. Those are named, not the ones that it hears, so that types which
this version does not know arrive."""


def dead_letter_topic(app_id: str) -> str:
    """Where Dapr puts what this app could not take."""
    return f"{app_id}-dead-letters"


def topics_heard(catalogue: Catalogue, heard: Collection[str]) -> list[str]:
    """The topics that carry any of these event types."""
    return [topic.name for topic in _topics_heard(catalogue, heard)]


def _topics_heard(catalogue: Catalogue, heard: Collection[str]) -> list[Topic]:
    return [topic for topic in catalogue.topics if any(event.__name__ in heard for event in topic.events)]


def _unheard(topic: Topic, heard: Collection[str]) -> dict[str, str]:
    names = sorted(event.__name__ for event in topic.events if event.__name__ not in heard)
    return {_UNHEARD: ",".join(names)} if names else {}


def subscriptions(
    catalogue: Catalogue,
    heard: Collection[str],
    *,
    app_id: str,
    pubsub: str,
    components: Mapping[str, str],
    dead_letters: bool = True,
) -> list[dict[str, Any]]:
    """The list for the sidecar. A topic that has a component of its own name is heard through that.

    JetStream needs it so: its durable consumer is named by the component, and is for one topic. `dead_letters`: are
    those heard as well?
    """
    dead = dead_letter_topic(app_id)
    found: list[dict[str, Any]] = [
        {
            "pubsubname": topic.name if topic.name in components else pubsub,
            "topic": topic.name,
            "routes": {"default": EVENTS_PATH + topic.name},
            "deadLetterTopic": dead,
            "metadata": {**_RAW, **_unheard(topic, heard)},
            **_bulk(components.get(pubsub, "")),
        }
        for topic in _topics_heard(catalogue, heard)
    ]
    if found and dead_letters:
        found.append(
            {
                "pubsubname": "dead-letters" if "dead-letters" in components else pubsub,
                "topic": dead,
                "routes": {"default": DEAD_LETTERS_PATH},
                "metadata": _RAW,
            }
        )
    return found


def _bulk(component: str) -> dict[str, Any]:
    most = SERVICE_BUS_EVENTS if "azure.servicebus" in component else BULK_EVENTS
    return {"bulkSubscribe": {"enabled": True, "maxMessagesCount": most, "maxAwaitDurationMs": BULK_WAIT_MILLISECONDS}}

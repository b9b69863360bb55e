"""What the infrastructure has to know of the code: topics, subscriptions and their filters, routes, ports, containers.

`make infra` writes it to infra/generated/catalogue.json, which the Bicep files load; a test compares the two.
"""

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cludale.adapters.cosmos import layout
from cludale.compose import SERVICES, Platform
from cludale.runtime.service import Service
from cludale.services.catalogue import CATALOGUE
from cludale.settings import Settings

FILE = Path("infra/generated/catalogue.json")
PORT = 8080
EVENT_TYPE = "eventType"
"""The application property that carries the CloudEvent's type; the relay publishes it as metadata."""
PAGES = ("/docs", "/problems")
FRONT = ("/", "/openapi.json")
"""What every service has beside its routes; from outside, the first service's are seen."""


def catalogue() -> Mapping[str, Any]:
    """Everything, in the order of the services."""
    services = asyncio.run(_services())
    topics = [topic.name for topic in CATALOGUE.topics]
    settings = Settings()
    return {
        "note": "Made by `make infra` from the code. Changes made here are lost.",
        "port": PORT,
        "probes": {"live": "/livez", "ready": "/readyz", "deliver": "/readyz"},
        "delivery": {
            "attempts": settings.delivery_attempts,
            "initialDelayMilliseconds": round(settings.delivery_backoff_seconds * 1000),
            "maxDelayMilliseconds": round(settings.delivery_backoff_max_seconds * 1000),
        },
        "serviceNames": list(SERVICES),
        "services": [_described(service, is_first=service is services[0]) for service in services],
        "topics": topics,
        "subscriptions": [
            {
                "name": service.name,
                "topic": topic,
                "topicIndex": topics.index(topic),
                "sqlFilter": event_filter(_heard(service, topic), _published(topic)),
            }
            for service in services
            for topic in _topics_heard(service)
        ],
        "deadLetterTopics": [dead_letter_topic(service.name) for service in services],
        "cosmos": {
            "database": layout.DATABASE,
            "consistency": layout.CONSISTENCY,
            "containers": [
                {"serviceIndex": SERVICES.index(_owner(container)), "resource": container.resource()}
                for container in layout.CONTAINERS
            ],
        },
    }


def text() -> str:
    """The file's content."""
    return json.dumps(catalogue(), indent=2) + "\n"


def dead_letter_topic(service: str) -> str:
    """Where a service's sidecar puts the events that the service gave up."""
    return f"{service}-dead-letters"


def event_filter(heard: Sequence[str], published: Sequence[str]) -> str:
    """A filter that lets the heard types through; a message that does not say its type goes to everyone."""
    if set(heard) == set(published):
        return "1=1"
    names = ", ".join(f"'{name}'" for name in heard)
    return f"NOT EXISTS({EVENT_TYPE}) OR {EVENT_TYPE} IN ({names})"


async def _services() -> Sequence[Service]:
    with tempfile.TemporaryDirectory() as folder:
        platform = Platform(Settings(data_dir=Path(folder)))
        try:
            return platform.services
        finally:
            await platform.stop()


def _described(service: Service, *, is_first: bool) -> Mapping[str, Any]:
    published = [topic.name for topic in CATALOGUE.topics if topic.source == service.name]
    return {
        "name": service.name,
        "sendsTo": [*published, dead_letter_topic(service.name)],
        "hears": _topics_heard(service),
        "routes": _routes(service, is_first=is_first),
    }


def _routes(service: Service, *, is_first: bool) -> Sequence[Mapping[str, Any]]:
    heads = dict.fromkeys(f"/{path.split('/')[1]}" for route in service.routes for path in sorted(route.paths))
    prefixes = [*heads, *(PAGES if is_first else ())]
    return [
        *({"match": {"pathSeparatedPrefix": prefix}} for prefix in prefixes),
        *({"match": {"path": path}} for path in (FRONT if is_first else ())),
    ]


def _topics_heard(service: Service) -> list[str]:
    return [topic.name for topic in CATALOGUE.topics if _heard(service, topic.name)]


def _heard(service: Service, topic: str) -> list[str]:
    return [name for name in _published(topic) if name in service.hears]


def _published(topic: str) -> list[str]:
    return [event.__name__ for each in CATALOGUE.topics if each.name == topic for event in each.events]


def _owner(container: layout.Container) -> str:
    return "payments" if container == layout.PROVIDER_CONTAINER else container.name

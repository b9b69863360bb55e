"""What the infrastructure has to know of the code: topics, subscriptions and their filters, routes, ports, containers.

`make infra` writes it to infra/generated/catalogue.json, which the Bicep files load; a test compares the two.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.infra.resilience import BROKER, STATE, Policies

from cludale.adapters.cosmos import layout
from cludale.adapters.dapr.state.dialects import cosmos_container
from cludale.adapters.dapr.subscriptions import dead_letter_topic, topics_heard
from cludale.services import NAMES
from cludale.services.catalogue import CATALOGUE, HEARS
from cludale.services.manifest import Service
from cludale.wiring.services import described
from cludale.wiring.settings import Settings
from cludale.wiring.stores import CONTAINERS, STATE_STORE_USERS

FILE = Path("infra/generated/catalogue.json")
PORT = 8080
EVENT_TYPE = "eventtype"
"""The application property that carries the CloudEvent's type: the key of the metadata that it is published with."""
PAGES = ("/docs", "/problems")
FRONT = ("/", "/openapi.json")
"""What every service has beside its routes; from outside, the first service's are seen."""


def catalogue() -> Mapping[str, Any]:
    """Everything, in the order of the services."""
    services = described()
    topics = [topic.name for topic in CATALOGUE.topics]
    policies = Policies.read()
    return {
        "note": "Made by `make infra` from the code. Changes made here are lost.",
        "port": PORT,
        "probes": {"live": "/livez", "ready": "/readyz/replica", "deliver": "/dapr/healthz"},
        "delivery": {"attempts": Settings().delivery_attempts},
        "resiliency": {name: policies.of_component(name) for name in (BROKER, STATE)},
        "serviceNames": list(NAMES),
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
            for topic in topics_heard(CATALOGUE, HEARS[service.name])
        ],
        "deadLetterTopics": [dead_letter_topic(service.name) for service in services],
        "cosmos": {
            "database": layout.DATABASE,
            "consistency": layout.CONSISTENCY,
            "containers": [
                {"serviceIndex": NAMES.index(_owner(container)), "resource": container.resource()}
                for container in (*CONTAINERS, layout.PROVIDER_CONTAINER)
            ],
        },
        "stateStores": {
            user: {
                "service": user,
                "serviceIndex": NAMES.index(user),
                "name": f"{user}-state",
                "resource": cosmos_container(f"{user}-state"),
            }
            for user in STATE_STORE_USERS
        },
    }


def text() -> str:
    """The file's content."""
    return json.dumps(catalogue(), indent=2) + "\n"


def event_filter(heard: Sequence[str], published: Sequence[str]) -> str:
    """A filter that lets the heard types through; a message that does not say its type goes to everyone."""
    if set(heard) == set(published):
        return "1=1"
    names = ", ".join(f"'{name}'" for name in heard)
    return f"NOT EXISTS({EVENT_TYPE}) OR {EVENT_TYPE} IN ({names})"


def _described(service: Service, *, is_first: bool) -> Mapping[str, Any]:
    published = [topic.name for topic in CATALOGUE.topics if topic.source == service.name]
    return {
        "name": service.name,
        "sendsTo": [*published, dead_letter_topic(service.name)],
        "hears": topics_heard(CATALOGUE, HEARS[service.name]),
        "deadLetterTopic": dead_letter_topic(service.name),
        "routes": _routes(service, is_first=is_first),
        "stateStore": f"{service.name}-state" if service.name in STATE_STORE_USERS else "",
        "stateVariable": f"CLUDALE_{service.name.upper()}_STATE" if service.name in STATE_STORE_USERS else "",
        "keepsAllInStateStore": service.name == "audit",
    }


def _routes(service: Service, *, is_first: bool) -> Sequence[Mapping[str, Any]]:
    prefixes = [*service.prefixes, *(PAGES if is_first else ())]
    return [
        *({"match": {"pathSeparatedPrefix": prefix}} for prefix in prefixes),
        *({"match": {"path": path}} for path in (FRONT if is_first else ())),
    ]


def _heard(service: Service, topic: str) -> list[str]:
    return [name for name in _published(topic) if name in HEARS[service.name]]


def _published(topic: str) -> list[str]:
    return [event.__name__ for each in CATALOGUE.topics if each.name == topic for event in each.events]


def _owner(container: layout.Container) -> str:
    return "payments" if container == layout.PROVIDER_CONTAINER else container.name

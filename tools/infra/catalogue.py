"""What the infrastructure has to know of the code: topics, subscriptions and their filters, routes, ports, containers.

`make infra` writes it to infra/generated/catalogue.json, which the Bicep files load; a test compares the two.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped] # it has no types of its own

from cludale.adapters.cosmos import layout
from cludale.adapters.dapr.subscriptions import dead_letter_topic, topics_heard
from cludale.services import NAMES
from cludale.services.catalogue import CATALOGUE, HEARS
from cludale.services.manifest import Service
from cludale.wiring.services import described
from cludale.wiring.settings import Settings
from cludale.wiring.stores import CONTAINERS

FILE = Path("infra/generated/catalogue.json")
PORT = 8080
EVENT_TYPE = "eventtype"
"""The application property that carries the CloudEvent's type: the key of the metadata that it is published with."""
RESILIENCY = Path("docker/components/common/resiliency.yaml")
"""How often sidecars try, for every place where they run; Container Apps has a form of its own for it."""
FIRST_RETRY_MILLISECONDS = 500
"""Dapr's own first wait of an exponential policy; Container Apps wants it said."""
PAGES = ("/docs", "/problems")
FRONT = ("/", "/openapi.json")
"""What every service has beside its routes; from outside, the first service's are seen."""


def catalogue() -> Mapping[str, Any]:
    """Everything, in the order of the services."""
    services = described()
    topics = [topic.name for topic in CATALOGUE.topics]
    return {
        "note": "Made by `make infra` from the code. Changes made here are lost.",
        "port": PORT,
        "probes": {"live": "/livez", "ready": "/readyz/replica", "deliver": "/dapr/healthz"},
        "delivery": {"attempts": Settings().delivery_attempts, **_resiliency()},
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


def _resiliency() -> Mapping[str, Any]:
    """What the sidecars' policies for `events` say, in the words of Container Apps."""
    spec = yaml.safe_load(RESILIENCY.read_text(encoding="utf-8"))["spec"]
    inbound, outbound = (spec["targets"]["components"]["events"][way] for way in ("inbound", "outbound"))
    policies = spec["policies"]
    handler, publish = policies["retries"][inbound["retry"]], policies["retries"][outbound["retry"]]
    return {
        "handlerSeconds": _milliseconds(policies["timeouts"][inbound["timeout"]]) // 1000,
        **_retry("handler", handler),
        "publishSeconds": _milliseconds(policies["timeouts"][outbound["timeout"]]) // 1000,
        **_retry("publish", publish),
    }


def _retry(way: str, policy: Mapping[str, Any]) -> Mapping[str, int]:
    """A policy's number of retries, and its first and its longest wait."""
    if policy["policy"] == "constant":
        first = longest = _milliseconds(policy["duration"])
    else:
        first, longest = FIRST_RETRY_MILLISECONDS, _milliseconds(policy["maxInterval"])
    return {f"{way}Retries": policy["maxRetries"], f"{way}FirstWait": first, f"{way}LongestWait": longest}


def _milliseconds(duration: str) -> int:
    form = re.fullmatch(r"(\d+)(ms|s)", duration)
    if form is None:
        raise ValueError(f"no duration: {duration}")
    return int(form[1]) * (1000 if form[2] == "s" else 1)


def _described(service: Service, *, is_first: bool) -> Mapping[str, Any]:
    published = [topic.name for topic in CATALOGUE.topics if topic.source == service.name]
    return {
        "name": service.name,
        "sendsTo": [*published, dead_letter_topic(service.name)],
        "hears": topics_heard(CATALOGUE, HEARS[service.name]),
        "deadLetterTopic": dead_letter_topic(service.name),
        "routes": _routes(service, is_first=is_first),
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

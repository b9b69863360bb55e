#!/usr/bin/env bash
# cloudevents 2.2.0: two events that are made from the same attributes are one event.
#
# Most would expect: an event that is made without an id gets one of its own, as with the API of version 1, which the
# same package still has. So what all events of a program have in common (source, type) can be kept in a constant.
# Seen: the new CloudEvent writes the id and the time that it makes up into the dictionary that it was given, and keeps
# that dictionary as its own. The next event finds both there and takes them. `source` and `id` are by the specification
# what tells an event from a copy of it, so a broker or consumer that drops copies (JetStream's Nats-Msg-Id, an inbox)
# drops every event but the first. Nothing is raised, and each event looks right by itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'cloudevents==2.2.0'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.http import CloudEvent as FormerCloudEvent

ORDERS = [1001, 1002, 1003]


def ids(make, id_of) -> list[str]:
    attributes = {"type": "order.confirmed", "source": "/shop"}
    return [id_of(make(attributes, {"order": order})) for order in ORDERS]


def sent_id(event: CloudEvent) -> str:
    return http.to_binary_event(event).headers["ce-id"]


print("cloudevents", version("cloudevents"), "on Python", sys.version.split()[0])
former = len(set(ids(FormerCloudEvent, lambda event: event["id"])))
seen = len(set(ids(CloudEvent, sent_id)))
print(f"ids of {len(ORDERS)} events\n  expected {len(ORDERS)}\n  seen     {seen}, with the API of version 1 {former}")

first = CloudEvent(common := {"type": "order.confirmed", "source": "/shop"}, {})
common["type"] = "order.cancelled"
print(f"type of an event after its attributes were used for another\n  expected order.confirmed\n  seen     {first.get_type()}")
if former != len(ORDERS) or seen != 1 or first.get_type() != "order.cancelled":
    sys.exit("not seen")
print("seen")
PYTHON

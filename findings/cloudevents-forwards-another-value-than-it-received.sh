#!/usr/bin/env bash
# cloudevents 2.2.0: JSON that comes in an event's body leaves as another value, or as no JSON at all, in binary mode.
#
# Most would expect: with `datacontenttype: application/json` the data are a JSON value, whichever it is, and an event
# that is read in structured mode and sent on in binary mode has the same data for who reads it next: so it is with the
# API of version 1, which the same package still has.
# Seen: only objects are written as JSON. A text is written without its quotes, so the text "42" arrives as a number, "true"
# as a truth value and "null" as nothing: codes and references that people type are such texts. An array or a truth value is
# written as Python prints it, and arrives as a text with single quotes. The content type still says JSON. It is the
# same over RabbitMQ and Kafka, whose bindings write the data in the same way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'cloudevents==2.2.0'
"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys
from importlib.metadata import version

from cloudevents.core.bindings import http, kafka, rabbitmq
from cloudevents.v1.conversion import to_binary
from cloudevents.v1.http import from_http, from_json

ATTRIBUTES = {
    "specversion": "1.0", "id": "1", "source": "/shop", "type": "seats.held", "datacontenttype": "application/json"
}
KNOWN = {
    '{"seat": "A1", "free": true}': b'{"seat": "A1", "free": true}',
    "42": b"42",
    '"42"': b"42",
    '"true"': b"true",
    '"null"': b"null",
    "true": b"True",
    '[{"seat": "A1", "free": true}]': b"[{'seat': 'A1', 'free': True}]",
}

print("cloudevents", version("cloudevents"), "on Python", sys.version.split()[0])
changed = False
for value, known in KNOWN.items():
    data = json.loads(value)
    body = json.dumps({**ATTRIBUTES, "data": data}).encode()
    event = http.from_http_event(http.HTTPMessage({"content-type": "application/cloudevents+json"}, body))
    sent = http.to_binary_event(event)
    read = http.from_http_event(sent).get_data()
    same = type(read) is type(data) and read == data
    print(f"{value}\n  expected {data!r}\n  seen     {read!r}, sent as {sent.body.decode()} with {sent.headers['content-type']}")
    former = from_http(*to_binary(from_json(body))).data
    changed |= sent.body != known or same != (known.decode() == value) or former != data or type(former) is not type(data)
    changed |= {rabbitmq.to_binary_event(event).body, kafka.to_binary_event(event).value} != {known}
if changed:
    sys.exit("not seen")
print("seen")
PYTHON

#!/usr/bin/env bash
# azure-cosmos 4.17.1: a write that was answered with 503 is sent a second time, with every number of retries at 0.
#
# Most would expect: with retry_total, retry_connect, retry_read, retry_status and retry_throttle_total at 0, and
# retry_write at 0 (its default), a write is sent once, and its 503 is handed on to the caller, who alone knows
# whether it is safe to repeat.
# Seen: half a second after the 503 the SDK sends create_item and execute_item_batch again, to the same address if the
# account has one region. If the first was written after all, the caller's own write comes back as a conflict, 409.
# Only enable_endpoint_discovery=False, which is about regions by its name, sends it once.
#
# The other side is a double of Cosmos DB's REST API, the few answers below on loopback: it writes what it is sent,
# answers the first time with 503, and counts. What is shown is what the SDK does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'azure-cosmos==4.17.1' 'azure-core==1.41.0'
no_proxy=127.0.0.1 NO_PROXY=127.0.0.1 "$folder/venv/bin/python" - <<'PYTHON'
import base64
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

from azure.cosmos import CosmosClient
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

KEY = base64.b64encode(b"no key of any account").decode()
arrived: list[float] = []
kept: set[str] = set()


class Double(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        here = [{"name": "here", "databaseAccountEndpoint": f"http://127.0.0.1:{self.server.server_port}/"}]
        account = {"id": "double", "writableLocations": here, "readableLocations": here}
        container = {"id": "box", "_rid": "AAAAAAAAAAA=", "partitionKey": {"paths": ["/pk"], "kind": "Hash", "version": 2}}
        self.answer(200, container if "/colls/" in self.path else account)

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
        is_batch = isinstance(sent, list)
        document = sent[0]["resourceBody"] if is_batch else sent
        arrived.append(time.monotonic())
        if document["id"] not in kept:
            kept.add(document["id"])
            self.answer(503, {"code": "ServiceUnavailable", "message": "written, and not said so"})
        elif is_batch:
            self.answer(207, [{"statusCode": 409, "requestCharge": 0}])
        else:
            self.answer(409, {"code": "Conflict", "message": "it exists"})

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Double)
threading.Thread(target=server.serve_forever, daemon=True).start()


def write(how: str, **options: bool) -> tuple[int, int]:
    """How often a write arrives, and with which status it ends for the caller."""
    arrived.clear()
    kept.clear()
    client = CosmosClient(
        f"http://127.0.0.1:{server.server_port}", KEY, retry_total=0, retry_connect=0, retry_read=0, retry_status=0,
        retry_write=0, retry_throttle_total=0, connection_timeout=10, **options,
    )
    box = client.get_database_client("base").get_container_client("box")
    status = 0
    try:
        if how == "create_item":
            box.create_item({"id": "one", "pk": "p"})
        else:
            box.execute_item_batch([("create", ({"id": "one", "pk": "p"},))], partition_key="p")
    except CosmosBatchOperationError as error:
        status = error.operation_responses[error.error_index]["statusCode"]
    except CosmosHttpResponseError as error:
        status = error.status_code
    return len(arrived), status


print("azure-cosmos", version("azure-cosmos"), "on Python", sys.version.split()[0])
once, twice = (1, 503), (2, 409)
changed = False
for how in ("create_item", "execute_item_batch"):
    for options, known in (({}, twice), ({"enable_endpoint_discovery": False}, once)):
        seen = write(how, **options)
        after = f", {arrived[1] - arrived[0]:.1f} s apart" if len(arrived) == 2 else ""
        said = ", ".join(f"{name}={value}" for name, value in options.items()) or "as it comes"
        print(f"{how}, {said}\n  expected sent once, status 503\n  seen     sent {seen[0]} times, status {seen[1]}{after}")
        changed |= seen != known
server.shutdown()
if changed:
    sys.exit("It no longer behaves as described here.")
PYTHON

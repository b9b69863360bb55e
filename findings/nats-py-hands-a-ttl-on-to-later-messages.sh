#!/usr/bin/env bash
# nats-py 2.16.0 over NATS server 2.15.2: messages that were published without a time to live expire all the same.
#
# Most would expect: `msg_ttl` and `stream` of a `publish` are of that message alone.
# Seen: JetStream's `publish` and `publish_async` write both into the dictionary that was given as `headers`, and leave
# them there. Where an application keeps its headers once for all messages (what names it, a trace, a tenant), the first
# message with a TTL gives that TTL to every later one that is published with the same dictionary: each has its
# acknowledgement, and is gone a second later.
#
# The real server is built and started on loopback. Wanted: Go 1.26.
set -euo pipefail
command -v go >/dev/null || { echo "Go is wanted" >&2; exit 2; }
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; sleep 0.5; rm -rf "$folder"' EXIT
cd "$folder"
CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=mod GOBIN=$folder \
    go install -trimpath github.com/nats-io/nats-server/v2@v2.15.2 2>go.log || { cat go.log >&2; exit 2; }
python3 -m venv venv
venv/bin/pip --disable-pip-version-check --quiet install 'nats-py==2.16.0'

port=$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
./nats-server --addr 127.0.0.1 --port "$port" --jetstream --store_dir "$folder/store" >server.log 2>&1 &
server=$!; disown

cat >finding.py <<'PYTHON'
import asyncio
import sys
from importlib.metadata import version

import nats
from nats.js.api import StreamConfig


async def kept(stream, name: str, headers, *, wait: bool) -> list[str]:
    """Which of a hint for a second and two orders are there after two and a half."""
    await stream.add_stream(StreamConfig(name=name, subjects=[f"{name}.>"], allow_msg_ttl=True))

    async def publish(subject: str, **options) -> None:
        if wait:
            await stream.publish(f"{name}.{subject}", b"{}", headers=headers(), **options)
        else:
            await (await stream.publish_async(f"{name}.{subject}", b"{}", headers=headers(), **options))

    await publish("order-1")
    await publish("hint", msg_ttl=1)
    await publish("order-2")
    await asyncio.sleep(2.5)
    info = await stream.stream_info(name, subjects_filter=">")
    return sorted(subject.split(".")[1] for subject in info.state.subjects or {})


async def main(url: str) -> None:
    connection = await nats.connect(url, max_reconnect_attempts=100, reconnect_time_wait=0.1, allow_reconnect=True)
    print("nats-py", version("nats-py"), "server", connection.connected_server_version, "on Python", sys.version.split()[0])
    stream = connection.jetstream()
    anew = await kept(stream, "anew", lambda: {"App": "shop"}, wait=True)
    print("headers made anew for each:", *anew)
    for name, wait in (("publish", True), ("publish_async", False)):
        headers = {"App": "shop"}
        shared = await kept(stream, name, lambda: headers, wait=wait)
        print(f"the same headers for all, {name}:", *shared)
    print("the headers now:", {str(getattr(key, "value", key)): value for key, value in headers.items()})
    await connection.close()


asyncio.run(asyncio.wait_for(main(sys.argv[1]), 60))
PYTHON
venv/bin/python finding.py "nats://127.0.0.1:$port" | tee seen
cat >known <<'KNOWN'
headers made anew for each: order-1 order-2
the same headers for all, publish: order-1
the same headers for all, publish_async: order-1
the headers now: {'App': 'shop', 'Nats-TTL': '1'}
KNOWN
echo "expected: order-1 and order-2 each time, and the headers as they were"
tail -n +2 seen | cmp -s - known || { echo "not seen" >&2; exit 1; }
echo "seen"

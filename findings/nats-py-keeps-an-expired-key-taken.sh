#!/usr/bin/env bash
# nats-py 2.16.0 over NATS server 2.15.2: a key whose time is over is still there for `get` and `create`.
#
# Most would expect: with `limit_marker_ttl`, new in 2.16, a watcher is told when a key's time is over, and all else is
# as without it: `get` raises KeyNotFoundError, and `create` takes the key, be it a lock or a hold, for the next one.
# Seen: the server tells watchers by a message in the key's place, marked with `Nats-Marker-Reason`. `watch` and `keys`
# know that mark, `get` and `create` do not. So `get` gives an entry without a value, and `create` is refused with
# KeyWrongLastSequenceError until the mark's own time is over, which may be hours: a lock of one second, whose holder has
# died, blocks all others for as long. A key that was deleted by hand is free at once in both kinds of bucket.
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
from nats.js.api import KeyValueConfig
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError

KEY_SECONDS, MARK_SECONDS = 1, 5


async def got(bucket) -> str:
    try:
        return f"an entry with the value {(await bucket.get('lock')).value}"
    except KeyNotFoundError as error:
        return type(error).__name__


async def created(bucket, key: str) -> str:
    try:
        await bucket.create(key, b"second")
    except KeyWrongLastSequenceError as error:
        return type(error).__name__
    return "taken"


async def main(url: str) -> None:
    connection = await nats.connect(url, max_reconnect_attempts=100, reconnect_time_wait=0.1, allow_reconnect=True)
    print("nats-py", version("nats-py"), "server", connection.connected_server_version, "on Python", sys.version.split()[0])
    stream = connection.jetstream()
    for name, marks in (("without-marks", {}), ("with-marks", {"limit_marker_ttl": MARK_SECONDS})):
        bucket = await stream.create_key_value(KeyValueConfig(bucket=name, **marks))
        await bucket.create("by-hand", b"first")
        await bucket.delete("by-hand")
        await bucket.create("lock", b"first", msg_ttl=KEY_SECONDS)
        await asyncio.sleep(KEY_SECONDS + 1.5)
        print(f"{name}, lock expired, get: {await got(bucket)}")
        print(f"{name}, lock expired, create: {await created(bucket, 'lock')}")
        print(f"{name}, deleted by hand, create: {await created(bucket, 'by-hand')}")
    await asyncio.sleep(MARK_SECONDS)
    print(f"with-marks, mark expired too, create: {await created(bucket, 'lock')}")
    await connection.close()


asyncio.run(asyncio.wait_for(main(sys.argv[1]), 60))
PYTHON
venv/bin/python finding.py "nats://127.0.0.1:$port" | tee seen
cat >known <<'KNOWN'
without-marks, lock expired, get: KeyNotFoundError
without-marks, lock expired, create: taken
without-marks, deleted by hand, create: taken
with-marks, lock expired, get: an entry with the value None
with-marks, lock expired, create: KeyWrongLastSequenceError
with-marks, deleted by hand, create: taken
with-marks, mark expired too, create: taken
KNOWN
echo "expected with marks: what is seen without"
tail -n +2 seen | cmp -s - known || { echo "not seen" >&2; exit 1; }
echo "seen"

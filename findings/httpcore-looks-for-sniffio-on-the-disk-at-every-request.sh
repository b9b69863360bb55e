#!/usr/bin/env bash
# httpcore 1.0.9 (below httpx 0.28.1) with anyio 4.16.0: every request looks through all folders of the path for a package.
#
# Most would expect: which asynchronous library runs is found out by what is loaded already.
# Seen: httpcore imports sniffio in a function that each request calls several times. anyio no longer brings sniffio, so
# the import fails, and Python keeps no note of what it did not find: it asks the file system again each time. An entry
# of None in sys.modules, which says that there is none, ends it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install 'httpx==0.28.1' 'httpcore==1.0.9' 'anyio==4.16.0'
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import sys

import httpx

looked = 0


class Counting:
    """Counts how often sniffio is looked for."""

    def find_spec(self, name, path=None, target=None):
        global looked
        looked += name == "sniffio"
        return None


async def answer(reader, writer):
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


async def looks_of(requests: int) -> int:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    before = looked
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
        for _ in range(requests):
            await client.get("/")
    server.close()
    return looked - before


sys.meta_path.insert(0, Counting())
loop = asyncio.new_event_loop()
loop.set_exception_handler(lambda *_: None)  # the client's end is the server's IncompleteReadError
seen = loop.run_until_complete(looks_of(100))
sys.modules["sniffio"] = None
without = loop.run_until_complete(looks_of(100))
print(f"100 requests over one connection look for sniffio\n  expected 0 or 1 times\n  seen     {seen} times")
print(f"with None in sys.modules: {without} times")
if seen < 100 or without:
    sys.exit("It no longer behaves as described here.")
PYTHON

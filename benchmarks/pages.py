"""How fast the shop's pages are, and what a stream takes: `python -m benchmarks.pages [--seconds 5] [--streams 1000]`.

One server in a process of its own; the load comes from this process, over kept-alive connections, so both cores work.
Beside requests a second it says the server's own CPU time for a request, which other work on the machine does not move.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import httpx
from tests.served import serve

PAGE = "/shop/concerts/club"
CONNECTIONS = 32
PIPELINED = 8


def cpu_seconds(pid: int) -> float:
    """What a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def resident_bytes(pid: int) -> int:
    """What a process holds in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def load(port: int, request: bytes, response_bytes: int, seconds: float) -> int:
    """Requests answered in so many seconds."""
    end = time.monotonic() + seconds

    async def one() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        count = 0
        while time.monotonic() < end:
            writer.write(request * PIPELINED)
            await reader.readexactly(response_bytes * PIPELINED)
            count += PIPELINED
        writer.close()
        return count

    return sum(await asyncio.gather(*(one() for _ in range(CONNECTIONS))))


async def response_size(port: int, request: bytes) -> int:
    """The bytes of one response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]) if b" 304 " not in head else 0
    await reader.readexactly(length)
    writer.close()
    return len(head) + length


async def streams(port: int, pid: int, wanted: int) -> tuple[int, float]:
    """How many streams were open at once, and the bytes that the server holds for each."""
    before = resident_bytes(pid)
    request = f"GET {PAGE}/live HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
    writers = []
    opened = 0
    for _ in range(wanted):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        writers.append(writer)
        if b" 200 " not in head:
            break
        await reader.readuntil(b"\n\n")
        opened += 1
    held = resident_bytes(pid) - before
    for writer in writers:
        writer.close()
    return opened, held / max(opened, 1)


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--streams", type=int, default=1_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as served:
        served.concert("club", seats=5_000)
        for path in ("/shop", PAGE, f"{PAGE}/seats"):
            answer = httpx.get(served.url + path, headers={"accept-encoding": "gzip"})
            sent = answer.headers.get("content-length")
            print(f"{path}: {sent} bytes sent, {len(answer.content)} unpacked")
        head = f"GET {PAGE} HTTP/1.1\r\nhost: localhost\r\naccept-encoding: gzip\r\n".encode()
        tag = httpx.get(served.url + PAGE, headers={"host": "localhost", "accept-encoding": "gzip"}).headers["etag"]
        for what, request in (
            ("whole page", head + b"\r\n"),
            ("page that the browser has (304)", head + f"if-none-match: {tag}\r\n\r\n".encode()),
        ):
            size = asyncio.run(response_size(served.port, request))
            before = cpu_seconds(served.process.pid)
            count = asyncio.run(load(served.port, request, size, asked.seconds))
            used = cpu_seconds(served.process.pid) - before
            print(
                f"{what}: {count / asked.seconds:,.0f} a second, {used / count * 1e6:.0f} us of the server's CPU each"
            )
        opened, each = asyncio.run(streams(served.port, served.process.pid, asked.streams))
        print(f"streams: {opened} open, {each / 1024:.1f} KiB of the server's memory each")
    return 0


if __name__ == "__main__":
    sys.exit(main())

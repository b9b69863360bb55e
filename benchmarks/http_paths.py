"""What one JSON POST costs the server, by the way it goes: the framework, a bare ASGI app, or no ASGI at all.

    python -m benchmarks.http_paths --seconds 4 --rounds 5

Each way runs in a process of its own and decodes, checks and answers the same order. The ways take turns; CPU is the
server process's own, so another load on the machine moves it less than it moves the rate.
"""

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

import msgspec
import uvicorn
import uvloop

from cludale.http.answers import Answer, json_answer
from cludale.http.bodies import Body, check_media_type
from cludale.http.http1 import Target
from cludale.http.pool import Pool
from cludale.http.problems import Problems
from cludale.http.routing import ExpressRequest
from cludale.services.orders.api import PlaceOrder
from cludale.web.door import Doorkeeper, Limits

CONNECTIONS = 32
BODY = b'{"concertId":"the-concert","userId":"somebody","quantity":2,"email":"me@example.org"}'
WAYS = ("framework", "asgi", "protocol")


class Placed(msgspec.Struct, rename="camel"):
    """What is answered."""

    id: str
    concert_id: str
    user_id: str
    quantity: int
    status: str = "Reserved"


def _placed(order: PlaceOrder) -> Placed:
    return Placed("order-1", order.concert_id, order.user_id, order.quantity)


def _framework() -> Any:
    """Litestar as it is meant: its own decoding, no guards, hooks or exception handlers."""
    from litestar import Litestar, post

    @post("/orders", status_code=201)
    async def place(data: PlaceOrder) -> Placed:
        return _placed(data)

    return Litestar([place], openapi_config=None, logging_config=None)


def _asgi() -> Any:
    """A route table and our own decoding, under ASGI."""
    body = Body(PlaceOrder)

    async def place(headers: dict[bytes, bytes], content: bytes) -> Answer:
        check_media_type(headers[b"content-type"].decode("latin-1"))
        return json_answer(_placed(body.decode(content)), 201)

    routes = {("POST", "/orders"): place}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        handler = routes[scope["method"], scope["path"]]
        content = b""
        while True:
            message = await receive()
            content += message["body"]
            if not message["more_body"]:
                break
        answer = await handler(dict(scope["headers"]), content)
        headers = [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", b"%d" % len(answer.body)),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    return app


def _protocol(config: uvicorn.Config) -> None:
    """The same decoding, called by the connection itself."""
    body = Body(PlaceOrder)

    async def place(request: ExpressRequest) -> Answer:
        check_media_type(request.header(b"content-type"))
        return json_answer(_placed(body.decode(request.body)), 201)

    config.http = Doorkeeper({("POST", "/orders"): place}, Problems(), Limits()).protocol  # type: ignore[assignment]


def serve(way: str, listener: socket.socket) -> None:
    """One way, until SIGTERM."""
    app = _framework() if way == "framework" else _asgi()
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, access_log=False)
    if way == "protocol":
        _protocol(config)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve([listener]))


async def _load(port: int, seconds: float) -> int:
    pool = Pool(Target("127.0.0.1", port), connections=CONNECTIONS)
    until, done = time.monotonic() + seconds, 0

    async def ask() -> None:
        nonlocal done
        while time.monotonic() < until:
            answer = await pool.ask("POST", "/orders", BODY, timeout_seconds=10)
            assert answer.status == 201, answer
            done += 1

    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    await pool.close()
    return done


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", choices=WAYS)
    parser.add_argument("--fd", type=int)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve, socket.socket(fileno=chosen.fd))
        return
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(chosen.rounds):
        for way in WAYS:
            with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
                port = listener.getsockname()[1]
                served = ["--serve", way, "--fd", str(listener.fileno())]
                command = [sys.executable, "-m", "benchmarks.http_paths", *served]
                process = subprocess.Popen(command, pass_fds=[listener.fileno()])
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(_load(port, 1))
                    began, cpu = time.monotonic(), _cpu_seconds(process.pid)
                    done = runner.run(_load(port, chosen.seconds))
                found[way].append((_cpu_seconds(process.pid) - cpu) / done * 1e6)
                rates[way].append(done / (time.monotonic() - began))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()
    for way in WAYS:
        each = ", ".join(f"{value:.0f}" for value in found[way])
        median, rate = statistics.median(found[way]), statistics.median(rates[way])
        print(f"{way:10} {median:6.1f} µs CPU a request ({each}), {rate:6.0f}/s")


if __name__ == "__main__":
    main()

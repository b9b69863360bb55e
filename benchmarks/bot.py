"""Honest buyers beside a bot: what is left to them of their rate while it asks as fast as it is answered.

    python -m benchmarks.bot --seconds 20 --rounds 3

Each of 1,000 buyers has an address of its own (127.1.x.y) and orders one ticket about every `--every` seconds, whether
it was answered quickly or not; the bot has 200 connections from 50 addresses (127.0.0.2 to 51) and orders in a loop. In
turns: the buyers alone, beside the bot with limits on requests, and beside it without; the order is turned round from
round to round. Buyers, bot and server are processes of their own.

A machine that does other work has less for the server in one run than in the next, so there are two judgements. A
round counts where the buyers alone got their tickets: 95 % of those that they asked for. And the server's CPU, which
other work does not change much: what the bot makes it use beside what the buyers do.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from os import environ
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.machine import PROJECT
from benchmarks.server import Server

BOT_ADDRESSES = [f"127.0.0.{number}" for number in range(2, 52)]
BOT_CONNECTIONS = 200
LIMITS = {"CLUDALE_ADDRESS_REQUESTS": "10", "CLUDALE_LIMIT_SECONDS": "10"}
"""An order a second: ten times what these buyers ask for, or five."""
ENOUGH = 0.95
_WARM_UP_SECONDS = 2.0


class _Client:
    """One connection from one address, kept, opened anew where it ended."""

    def __init__(self, url: str, address: str, concert: str, user: str) -> None:
        split = urlsplit(url)
        self._at = split.hostname or "", split.port or 0
        self._address = address
        body = json.dumps({"concertId": concert, "userId": user, "quantity": 1}).encode()
        head = f"POST /orders HTTP/1.1\r\nHost: {split.netloc}\r\nContent-Type: application/json\r\n"
        self._request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def order(self) -> int:
        """The status; 0 for no answer."""
        try:
            async with asyncio.timeout(10):
                return await self._order()
        except (OSError, EOFError, ValueError):
            self.close()
            return 0

    async def _order(self) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._at, local_addr=(self._address, 0))
        reader, writer = self._streams
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def buyers(url: str, concert: str, *, count: int, every: float, seconds: float) -> dict[str, float]:
    """What came of it: orders a second that were taken, and the 99th percentile of their times in ms."""
    statuses: Counter[int] = Counter()
    took: list[float] = []
    began = time.monotonic()

    async def buyer(number: int) -> None:
        client = _Client(url, f"127.1.{number // 250}.{number % 250 + 1}", concert, f"buyer-{number}")
        at = began + random.uniform(0, every)
        while at < began + seconds:
            await asyncio.sleep(at - time.monotonic())
            asked = time.monotonic()
            status = await client.order()
            if at - began > _WARM_UP_SECONDS:
                statuses[status] += 1
                took.append(time.monotonic() - asked)
            at += every
        client.close()

    await asyncio.gather(*(buyer(number) for number in range(count)))
    took.sort()
    rate = statuses[201] / (seconds - _WARM_UP_SECONDS)
    return {"aSecond": rate, "p99Ms": 1000 * took[int(0.99 * len(took))], **{str(s): n for s, n in statuses.items()}}


async def bot(url: str, concert: str, *, seconds: float) -> dict[str, float]:
    """Ask in a loop over all connections; how many a second were answered, by status."""
    statuses: Counter[int] = Counter()
    end = time.monotonic() + seconds

    async def ask(number: int) -> None:
        client = _Client(url, BOT_ADDRESSES[number % len(BOT_ADDRESSES)], concert, f"bot-{number}")
        while time.monotonic() < end:
            statuses[await client.order()] += 1
        client.close()

    await asyncio.gather(*(ask(number) for number in range(BOT_CONNECTIONS)))
    return {str(status): count / seconds for status, count in statuses.items()}


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.bot", *arguments]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)


class Round(NamedTuple):
    """What the buyers had."""

    a_second: float
    p99_ms: float
    cpu: float
    """The server's CPU seconds a second."""


def _round(asked: argparse.Namespace, what: str) -> Round:
    limits = LIMITS if what == "limits" else {}
    environ.update(limits)
    try:
        with Server() as server:
            concert = server.http.post(
                "/concerts", json={"artist": "The Larks", "date": "2099-06-05", "totalSeats": 1_000_000}
            ).json()["id"]
            common = ("--url", server.url, "--concert", concert, "--seconds", str(asked.seconds))
            used = server.cpu()
            other = None if what == "alone" else _start("--as", "bot", *common)
            honest = _start("--as", "buyers", *common, "--buyers", str(asked.buyers), "--every", str(asked.every))
            found: dict[str, float] = json.loads(honest.communicate()[0])
            cpu = server.cpu().since(used).process / asked.seconds
            print(f"{what}: {found}, the server's CPU {cpu:.2f} s a second", flush=True)
            if other is not None:
                print("    the bot, a second:", json.loads(other.communicate()[0]), flush=True)
            return Round(found["aSecond"], found["p99Ms"], cpu)
    finally:
        for name in limits:
            environ.pop(name)


def _rounds(asked: argparse.Namespace) -> None:
    """Measure in turns, and print what the rounds that count come to."""
    kept: dict[str, list[float]] = {"limits": [], "without": []}
    more: dict[str, list[float]] = {"limits": [], "without": []}
    for number in range(asked.rounds):
        order = ["limits", "alone", "without"] if number % 2 else ["without", "alone", "limits"]
        found = {what: _round(asked, what) for what in order}
        wanted = asked.buyers / asked.every
        if found["alone"].a_second < ENOUGH * wanted:
            print(
                f"round {number + 1} does not count: alone the buyers got {found['alone'].a_second:.0f} of {wanted:.0f}"
            )
            continue
        for what, all_ in kept.items():
            all_.append(100 * found[what].a_second / found["alone"].a_second)
            more[what].append(found[what].cpu / found["alone"].cpu)
    for what, all_ in kept.items():
        if all_:
            print(
                f"{what}: the buyers keep {median(all_):.0f} % of their rate ({min(all_):.0f}-{max(all_):.0f}, "
                f"{len(all_)} rounds); the server's CPU is {median(more[what]):.2f} times what they need alone"
            )


def main() -> None:
    """Measure all, or be one of the two clients."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bot", description="Honest buyers beside a bot.")
    parser.add_argument("--buyers", type=int, default=1_000)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two orders of one buyer")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--as", dest="role", choices=("all", "buyers", "bot"), default="all", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--concert", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.role == "bot":
        print(json.dumps(asyncio.run(bot(asked.url, asked.concert, seconds=asked.seconds))))
    elif asked.role == "buyers":
        of = buyers(asked.url, asked.concert, count=asked.buyers, every=asked.every, seconds=asked.seconds)
        print(json.dumps(asyncio.run(of)))
    else:
        _rounds(asked)


if __name__ == "__main__":
    main()

"""Clients that send slowly, or without end: they are cut off, and the others do not notice."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest
import uvloop
from tests.proof.faults.experiment import Faults, Figures, Scale
from tests.proof.faults.judging import settled
from tests.proof.faults.victims import HASTE, stopped, victim
from tests.served import Served

from cludale.web.http1 import Target
from cludale_proof.rehearsal.load import Load, Tally

pytestmark = [pytest.mark.slow, pytest.mark.alone]

SLOW = 500
REQUEST_SECONDS = 6
HEAD = b"POST /orders HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
SLOWLY = {
    "head": HEAD + b"x-slow: " + b"a" * 1_000,
    "body": HEAD + b"content-length: 1000\r\n\r\n" + b" " * 900,
}
"""What a slow client sends: all but the last line at once, then a byte now and then."""
PAUSE_SECONDS = 0.5
LEAST_KEPT = 0.6
"""Of what is served without slow senders, in the middle of the rounds."""


async def slow_client(port: int, text: bytes, ended: Counter[str]) -> None:
    """Sends byte by byte until the server has had enough of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = text.find(b"\r\n\r\n") + 4 or len(HEAD)
    writer.write(text[:sent])
    answered = asyncio.create_task(reader.read(4096))
    try:
        while not answered.done():
            writer.write(text[sent : sent + 1])
            sent += 1
            await asyncio.wait([answered], timeout=PAUSE_SECONDS)
        ended[answered.result().split(b"\r\n")[0].decode()] += 1
    except ConnectionError:
        ended["reset"] += 1
    finally:
        answered.cancel()
        writer.close()


def buyers(target: Target, seconds: float, names: Iterator[int]) -> Iterator[bytes]:
    over = perf_counter() + seconds
    while perf_counter() < over:
        yield target.request("POST", "/orders", b'{"concertId":"c","userId":"%d","quantity":1}' % next(names))


async def sale(served: Served, seconds: float, names: Iterator[int]) -> Tally:
    target = Target.of(served.url)
    return await Load(target, buyers(target, seconds, names), connections=32).run()


async def sale_beside_slow_clients(served: Served, seconds: float, names: Iterator[int], ended: Counter[str]) -> Tally:
    texts = list(SLOWLY.values())
    slow = [asyncio.create_task(slow_client(served.port, texts[n % 2], ended)) for n in range(SLOW)]
    await asyncio.sleep(0.5)
    try:
        return await sale(served, seconds, names)
    finally:
        await asyncio.wait(slow, timeout=3 * REQUEST_SECONDS)


def test_five_hundred_slow_senders_do_not_hurt_the_others_and_are_sent_away(
    tmp_path: Path, scale: Scale, faults: Faults, figures: Figures
) -> None:
    faults.expect("slow sender")
    names, ended = iter(range(10**9)), Counter[str]()
    alone: list[Tally] = []
    beside: list[Tally] = []

    def kept() -> float:
        return median(b.answered / b.seconds for b in beside) / median(a.answered / a.seconds for a in alone)

    with victim(tmp_path / "data", settings={**HASTE, "CLUDALE_REQUEST_SECONDS": str(REQUEST_SECONDS)}) as served:
        served.concert("c", seats=1_000_000)
        uvloop.run(sale(served, 1, names))
        for _ in faults.turns(scale.of_three(1, 1, 9), until=lambda: kept() > LEAST_KEPT):
            alone.append(uvloop.run(sale(served, 3, names)))
            beside.append(uvloop.run(sale_beside_slow_clients(served, 3, names, ended)))
            faults.count("slow sender", ended.total())
        settled(tmp_path / "data")
        stopped(served)
    for tally in (*alone, *beside):
        assert tally.statuses.keys() == {201}, tally.statuses
        assert not tally.errors
    assert ended == {"HTTP/1.1 408 Request Timeout": SLOW * len(beside)}
    figures.row(
        "rude clients",
        client=f"{SLOW} slow senders",
        result=f"{kept():.0%} of the rate without them, p99 {p99(beside):.0f} ms ({p99(alone):.0f} ms without), "
        f"all sent away (408)",
    )
    assert kept() > LEAST_KEPT


def p99(tallies: list[Tally]) -> float:
    return median((tally.latencies[201].quantile(0.99) or 0) * 1000 for tally in tallies)


MEBIBYTE = 2**20
ENDLESS = {
    "headers without end": (b"GET /concerts HTTP/1.1\r\nhost: a\r\n", b"x-flood: " + b"a" * 1_000 + b"\r\n", b"431"),
    "one header without end": (b"GET /concerts HTTP/1.1\r\nx-flood: ", b"a" * 1_000, b"431"),
    "a path without end": (b"GET /", b"a" * 1_000, b"431"),
    "a body without end": (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"3e8\r\n" + b" " * 1_000 + b"\r\n", b"413"),
    "a body of ten gigabytes": (HEAD + b"content-length: 10737418240\r\n\r\n", b" " * 1_000, b"413"),
}
PATIENCE_BYTES = 64 * MEBIBYTE
"""What a client of these would send if it were let."""
AT_ONCE = 50


async def endless_client(port: int, begin: bytes, more: bytes) -> tuple[bytes, int]:
    """Sends and sends; the status that it is told, and how many bytes it got rid of before that."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(reader.read(65_536))
    sent = len(begin)
    writer.write(begin)
    flood = more * 64
    with contextlib.suppress(ConnectionError):
        while sent < PATIENCE_BYTES and not answer.done():
            writer.write(flood)
            sent += len(flood)
            await writer.drain()
            await asyncio.sleep(0)
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            status = (await answer).split(b" ")[1:2]
            writer.close()
            return (status or [b""])[0], sent
    answer.cancel()
    writer.close()
    return b"reset", sent


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_comes_without_end_is_cut_off_early(tmp_path: Path, faults: Faults, figures: Figures, kind: str) -> None:
    faults.expect(kind)
    begin, more, status = ENDLESS[kind]
    with victim(tmp_path / "data") as served:
        before = memory(served)

        async def all_of_them() -> list[tuple[bytes, int]]:
            return await asyncio.gather(*(endless_client(served.port, begin, more) for _ in range(AT_ONCE)))

        told = asyncio.run(all_of_them())
        grown = memory(served) - before
        assert served.http.get("/livez").status_code == 200
        stopped(served)
    # A client that is still sending may lose the answer when the connection is closed: then it is reset.
    assert {each for each, _ in told} <= {status, b"reset"}, Counter(each for each, _ in told)
    most = max(sent for _, sent in told)
    assert most < 8 * MEBIBYTE
    assert grown < 64 * MEBIBYTE
    faults.fire(kind, len(told))
    figures.row(
        "rude clients",
        client=f"{AT_ONCE} clients that send {kind}",
        result=f"cut off ({status.decode()}) after {most / MEBIBYTE:.1f} MiB at most, with the sockets' buffers; "
        f"memory grew by {grown / MEBIBYTE:.0f} MiB",
    )


def memory(served: Served) -> int:
    """The server's resident memory in bytes."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024

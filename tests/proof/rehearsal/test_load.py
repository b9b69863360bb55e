"""The load generator against servers that behave and servers that don't."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count, islice, repeat
from time import perf_counter
from typing import Any

import pytest
from tests.listening import LOOPBACK, Serve, listening
from tests.patience import until

from cludale.web.connection import Connection, connect
from cludale.web.http1 import Target
from cludale_proof.rehearsal.load import Load, at_random

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


def evenly(rate: float) -> Iterator[float]:
    """Arrivals in seconds, so many a second."""
    return (number / rate for number in count())


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[Target]:
    """A real TCP server on a free port, each connection handled by `serve`: a stand-in for the platform."""
    async with listening(serve) as port:
        yield Target(LOOPBACK, port)


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)


def asking(target: Target, times: int) -> Iterator[bytes]:
    return repeat(target.request("GET", "/"), times)


async def test_every_request_is_sent_once_and_counted_once() -> None:
    heard = []
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
            writer.write(OK if len(asked) % 2 else OK.replace(b"200 OK", b"409 No"))

    async with served(serve) as target:
        requests = (target.request("GET", f"/{number}") for number in range(500))
        load = Load(target, requests, connections=8, hear=lambda status, body: heard.append((status, body)))
        tally = await load.run()
    assert sorted(asked) == sorted(b"/%d" % number for number in range(500))
    assert tally.statuses == {200: 250, 409: 250}
    assert (tally.answered, tally.failed, len(heard)) == (500, 0, 500)
    assert tally.count(200, 409, 500) == 500
    assert heard[0] == (200, b"{}")
    assert tally.seconds > 0


async def test_the_cpu_of_a_short_load_is_little_but_never_less_than_nothing() -> None:
    async with served(answer_all) as target:
        for _ in range(20):
            assert 0 < (await Load(target, asking(target, 1), connections=1).run()).cpu_seconds < 1


async def test_no_more_connections_are_open_than_asked_for() -> None:
    now, most = 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            await answer_all(reader, writer)
        finally:
            now -= 1

    async with served(serve) as target:
        await Load(target, asking(target, 100), connections=5).run()
    assert most == 5


async def test_answers_in_pieces_and_chunks_and_up_to_the_end_are_answers() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK[:20])
        await asyncio.sleep(0.01)
        writer.write(OK[20:])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 202 Accepted\r\n\r\nup to the end")

    heard = []
    async with served(serve) as target:
        load = Load(target, asking(target, 6), connections=1, hear=lambda status, body: heard.append((status, body)))
        tally = await load.run()
    assert heard == [(200, b"{}"), (201, b"a"), (202, b"up to the end")] * 2
    assert not tally.errors


async def test_a_connection_that_breaks_is_an_error_and_replaced() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK[:-1])

    async with served(serve) as target:
        tally = await Load(target, asking(target, 10), connections=1).run()
    assert tally.statuses == {200: 5}
    assert tally.errors == {"connection lost": 5}


async def test_an_answer_that_is_none_is_an_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 smtp.example ready\r\n\r\n")

    async with served(serve) as target:
        tally = await Load(target, asking(target, 2), connections=1).run()
    assert tally.answered == 0
    assert [(why.partition(":")[0], times) for why, times in tally.errors.items()] == [("malformed answer", 2)]


async def test_a_request_without_an_answer_times_out() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served(serve) as target:
        began = perf_counter()
        tally = await Load(target, asking(target, 4), connections=4, timeout_seconds=0.2).run()
    assert tally.errors == {"no answer in 0.2 s": 4}
    assert perf_counter() - began < 20


async def test_a_server_that_is_not_there_costs_each_request_an_error() -> None:
    async with served(answer_all) as target:
        pass
    tally = await Load(target, asking(target, 20), connections=10).run()
    assert (tally.answered, tally.failed) == (0, 20)
    assert all(why.startswith("could not connect") for why in tally.errors)


async def test_a_server_that_closes_idle_connections_costs_nothing() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await asyncio.sleep(0.02)

    async with served(serve) as target:
        tally = await Load(target, asking(target, 5), connections=1, arrivals=evenly(5)).run()
    assert tally.statuses == {200: 5}
    assert not tally.errors


async def test_an_open_loop_keeps_its_rate_whatever_the_server_does() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.02)
            writer.write(OK)

    async with served(serve) as target:
        tally = await Load(target, asking(target, 100), connections=20, arrivals=evenly(200)).run()
    assert tally.statuses == {200: 100}
    assert 0.49 <= tally.seconds < 20


async def test_in_an_open_loop_the_first_comes_when_all_connections_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    async def late(*arguments: Any, **more: Any) -> Connection:
        await asyncio.sleep(1)
        return await connect(*arguments, **more)

    monkeypatch.setattr("cludale_proof.rehearsal.load.connect", late)
    async with served(answer_all) as target:
        tally = await Load(target, asking(target, 10), connections=5, arrivals=evenly(1000)).run()
    assert tally.statuses == {200: 10}
    assert (tally.latencies[200].quantile(1.0) or 0.0) < 1
    assert tally.seconds < 1


async def test_a_request_that_waited_for_a_connection_has_waited() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.05)
            writer.write(OK)

    async with served(serve) as target:
        tally = await Load(target, asking(target, 6), connections=1, arrivals=evenly(1000)).run()
    assert (tally.latencies[200].quantile(1.0) or 0.0) > 6 * 0.05 - 0.01


async def test_a_stopped_load_sends_nothing_more() -> None:
    async with served(answer_all) as target:
        load = Load(target, asking(target, 10_000_000), connections=4)
        running = asyncio.create_task(load.run())
        await until(lambda: load.tally.answered > 0)
        load.stop()
        async with asyncio.timeout(20):
            tally = await running
    assert 0 < tally.answered < 10_000_000


async def test_a_stopped_open_loop_forgets_who_waits() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.05)
            writer.write(OK)

    async with served(serve) as target:
        load = Load(target, asking(target, 10_000), connections=2, arrivals=evenly(5_000))
        running = asyncio.create_task(load.run())
        await until(lambda: load.tally.answered >= 2)
        load.stop()
        async with asyncio.timeout(20):
            tally = await running
    assert 2 <= tally.answered < 20


async def test_what_a_listener_raises_ends_the_load() -> None:
    def hear(status: int, body: bytes) -> None:
        raise KeyError("boom")

    async with served(answer_all) as target:
        async with asyncio.timeout(5):
            with pytest.raises(KeyError, match="boom"):
                await Load(target, asking(target, 10), connections=1, hear=hear).run()


def test_random_arrivals_keep_their_rate_and_repeat_with_their_seed() -> None:
    arrivals = list(islice(at_random(100, seed=7), 10_000))
    assert arrivals == list(islice(at_random(100, seed=7), 10_000))
    assert arrivals != list(islice(at_random(100, seed=8), 10_000))
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] == pytest.approx(100, rel=0.05)

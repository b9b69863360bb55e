"""Backends that refuse, break off, stall: what the client is told, and that nothing is done twice."""

import asyncio

import pytest
from tests.operations.gateway.backends import Backend, Received, Talk, answer, backend
from tests.operations.gateway.conftest import Running, Start, to
from tests.patience import until

from cludale.services import NAMES
from cludale_operations.gateway.routes import BackendRoute, ServiceRoutes


async def close(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def half_a_head(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-le")
    writer.close()


async def nonsense(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")


async def two_answers(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc")


@pytest.mark.parametrize("talk", [close, reset, half_a_head, nonsense, two_answers])
async def test_a_broken_answer_is_said_to_be_one_and_never_asked_for_again(start: Start, talk: Talk) -> None:
    revision = f"broken-{talk.__name__.replace('_', '-')}"
    async with backend(talk) as one, backend(talk) as two, start(orders=_of(revision, one, two)) as gateway:
        found = await gateway.http.post("/orders", json={}, headers={"idempotency-key": "k1"})
        assert found.status_code == 502
        assert found.headers["content-type"] == "application/problem+json"
        assert found.json()["type"] == "/problems/broke-off"
        assert "retry-after" not in found.headers
        assert len(one.got) + len(two.got) == 1
        counts = await asyncio.to_thread(gateway.control.counts)
        assert counts["orders", revision].errors == counts["orders", revision].requests in (1, 2), "HAProxy's eresp"


def _of(revision: str, *backends: Backend) -> ServiceRoutes:
    return ServiceRoutes(tuple(BackendRoute(each.url, revision) for each in backends))


async def test_a_request_over_a_connection_that_just_ended_is_sent_again_if_it_changes_nothing(start: Start) -> None:
    """How a server looks that stops: the connection was idle, and ends as the request arrives."""
    talks = 0

    async def every_second_closes(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal talks
        talks += 1
        if talks % 2 == 0:
            writer.transport.abort()
        else:
            writer.write(answer())

    async with backend(every_second_closes) as one, start(orders=to(one)) as gateway:
        assert [(await gateway.http.get("/orders")).status_code for _ in range(4)] == [200] * 4
        sent = len(one.got)
        request = b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n%s\r\n{}"
        found = await gateway.raw(request % b"" + request % b"connection: close\r\n")
        assert found.count(b"HTTP/1.1 200 ") == 1
        assert len(one.got) - sent == 2, "neither of the two was sent twice"


async def test_a_refused_connection_means_another_backend(start: Start) -> None:
    async with backend() as one, backend() as two, start(orders=to(one, two)) as gateway:
        await two.stop()
        for _ in range(10):
            assert (await gateway.http.post("/orders", json={})).status_code == 200
        assert len(one.got) == 10


async def test_nothing_up_is_503_and_nothing_was_done(start: Start) -> None:
    async with backend() as one, start(orders=to(one)) as gateway:
        await one.stop()
        found = await gateway.http.post("/orders", json={})
        assert (found.status_code, found.json()["type"]) == (503, "/problems/no-backend")
        assert found.headers["retry-after"] == "1"
        none = await gateway.http.post("/payments", json={})
        assert none.status_code == 503


async def test_a_backend_that_is_not_ready_gets_nothing_and_one_that_comes_back_is_used_again(start: Start) -> None:
    async with backend() as one, backend() as two, start(orders=to(one, two)) as gateway:
        one.is_ready = False
        await _until_ready(gateway, [False, True])
        for _ in range(6):
            await gateway.http.get("/orders")
        assert one.got == []
        assert len(two.got) == 6
        one.is_ready = True
        await two.stop()
        await _until_ready(gateway, [True, False])
        assert (await gateway.http.get("/orders")).status_code == 200


async def _until_ready(gateway: Running, wanted: list[bool]) -> None:
    async with asyncio.timeout(30):
        while await gateway.ready("orders") != wanted:  # noqa: ASYNC110 - it is asked over a socket
            await asyncio.sleep(0.1)


async def test_where_all_are_in_trouble_they_tell_buyers_themselves(start: Start) -> None:
    async def says_why(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status="503 No", body=b"the store is away"))

    others = set(NAMES) - {"orders"}
    async with backend(says_why) as one, backend() as fine:
        routes = {"orders": to(one)} | {name: to(fine) for name in others}
        async with start(**routes) as gateway:
            one.troubles = ["The store takes no writes: PostgreSQL is read-only."]
            await _until_ready(gateway, [False])
            assert (await gateway.http.post("/orders", json={})).text == "the store is away"
            waiting = await gateway.http.get("/readyz")
            assert (waiting.status_code, "PostgreSQL is read-only" in waiting.text) == (503, True)
            assert (await gateway.http.get("/readyz/replica")).status_code == 200
            one.troubles = []
            await _until_ready(gateway, [True])
            assert (await gateway.http.get("/readyz")).status_code == 200
            assert len(fine.got) == 0


async def test_an_answer_that_nobody_wants_any_more_is_still_waited_for(start: Start) -> None:
    ended = []

    async def slow(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        ended.append(writer.is_closing())
        writer.write(answer())

    async with backend(slow) as one, start(orders=to(one)) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        await until(lambda: len(one.got) == 1)
        writer.close()
        await until(lambda: ended == [False])
        assert (await gateway.http.post("/orders", json={})).status_code == 200

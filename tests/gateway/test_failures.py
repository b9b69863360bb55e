"""Backends that refuse, break off, stall: what the client is told, and that nothing is done twice."""

import asyncio

import pytest
from tests.gateway.backends import Received, Talk, answer, backend
from tests.gateway.conftest import QUICK, Start, to
from tests.patience import until

SELDOM = QUICK._replace(check_every_seconds=60)


async def close(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def half_a_head(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-le")
    writer.close()


async def half_a_body(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
    writer.close()


async def half_a_chunk(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel")
    writer.close()


async def nonsense(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")


async def two_answers(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc")


@pytest.mark.parametrize("talk", [close, reset, half_a_head, half_a_body, half_a_chunk, nonsense, two_answers])
async def test_a_broken_answer_is_said_to_be_one_and_never_asked_for_again(start: Start, talk: Talk) -> None:
    async with backend(talk) as one, backend(talk) as two, start(orders=to(one, two), limits=SELDOM) as gateway:
        found = await gateway.http.post("/orders", json={})
        assert found.status_code == 502
        assert found.headers["content-type"] == "application/problem+json"
        assert found.json()["type"] == "/problems/broke-off"
        assert "retry-after" not in found.headers
        assert len(one.got) + len(two.got) == 1


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_an_answer_that_does_not_come_is_not_waited_for_without_end(start: Start, method: str) -> None:
    async def stall(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3)

    async with backend(stall) as one, backend(stall) as two, start(orders=to(one, two), limits=SELDOM) as gateway:
        found = await gateway.http.request(method, "/orders")
        assert (found.status_code, found.json()["type"]) == (504, "/problems/no-answer-in-time")
        assert len(one.got) + len(two.got) == 1
        assert {each.in_flight for each in gateway.gateway.backends} == {0}


async def test_a_refused_connection_means_another_backend(start: Start) -> None:
    async with backend() as one, backend() as two, start(orders=to(one, two), limits=SELDOM) as gateway:
        await two.stop()
        for _ in range(10):
            assert (await gateway.http.post("/orders", json={})).status_code == 200
        assert len(one.got) == 10


async def test_nothing_up_is_503_at_once_and_nothing_was_done(start: Start) -> None:
    async with backend() as one, start(orders=to(one), limits=SELDOM) as gateway:
        await one.stop()
        found = await gateway.http.post("/orders", json={})
        assert (found.status_code, found.json()["type"]) == (503, "/problems/no-backend")
        assert found.headers["retry-after"] == "1"
        none = await gateway.http.post("/payments", json={})
        assert none.status_code == 503


async def test_a_backend_that_comes_back_is_used_again(start: Start) -> None:
    async with backend() as one, start(orders=to(one)) as gateway:
        await one.stop()
        (known,) = gateway.gateway.backends
        await until(lambda: not known.ready)
        await one.start()
        await until(lambda: known.ready)
        assert (await gateway.http.get("/orders")).status_code == 200


async def test_a_backend_that_is_not_ready_gets_nothing(start: Start) -> None:
    async with backend() as one, backend() as two, start(orders=to(one, two)) as gateway:
        one.is_ready = False
        await until(lambda: any(not each.ready for each in gateway.gateway.backends))
        one.got.clear()
        for _ in range(6):
            await gateway.http.get("/orders")
        assert one.got == []
        assert len(two.got) == 6


async def test_one_that_is_in_trouble_gets_nothing_while_another_is_ready(start: Start) -> None:
    async with backend() as one, backend() as two, start(orders=to(one, two)) as gateway:
        one.troubles = ["The store takes no writes: full."]
        await until(lambda: any(not each.ready for each in gateway.gateway.backends))
        one.got.clear()
        for _ in range(6):
            assert (await gateway.http.get("/orders")).status_code == 200
        assert (one.got, len(two.got)) == ([], 6)
        assert gateway.gateway.status()["orders"].backends[0].troubles == "The store takes no writes: full."


async def test_where_all_are_in_trouble_they_tell_buyers_themselves(start: Start) -> None:
    async def says_why(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status="503 No", body=b"the store is away"))

    others = ("concerts", "payments", "notifications", "audit")
    async with backend(says_why) as one, backend(says_why) as two, backend() as fine:
        one.troubles = two.troubles = ["The store takes no writes: PostgreSQL is read-only."]
        async with start(orders=to(one, two), **{name: to(fine) for name in others}) as gateway:
            for _ in range(6):
                assert (await gateway.http.post("/orders", json={})).text == "the store is away"
            assert (len(one.got) + len(two.got), len(fine.got)) == (6, 0)
            waiting = await gateway.http.get("/readyz")
            assert (waiting.status_code, waiting.headers["retry-after"]) == (503, "1")
            assert waiting.json()["detail"] == "orders: The store takes no writes: PostgreSQL is read-only."
            assert (await gateway.http.get("/readyz/replica")).status_code == 200
            one.troubles = []
            await until(lambda: gateway.gateway.status()["orders"].backends[0].ready)
            assert (await gateway.http.get("/readyz")).status_code == 200


async def test_one_that_was_in_trouble_and_is_gone_is_asked_no_more(start: Start) -> None:
    async with backend() as one, start(orders=to(one)) as gateway:
        one.troubles = ["The store takes no writes: full."]
        (known,) = gateway.gateway.backends
        await until(lambda: bool(known.troubles))
        await one.stop()
        await until(lambda: not known.troubles)
        found = await gateway.http.get("/orders")
        assert (found.status_code, found.json()["type"]) == (503, "/problems/no-backend")
        assert (await gateway.http.get("/readyz/replica")).status_code == 503


async def test_a_backend_that_breaks_off_again_and_again_has_to_say_that_it_is_ready(start: Start) -> None:
    async with backend(close) as one, backend() as two, start(orders=to(one, two), limits=SELDOM) as gateway:
        statuses = [(await gateway.http.post("/orders", json={})).status_code for _ in range(30)]
        assert statuses.count(502) == SELDOM.breaks
        assert len(two.got) == 30 - SELDOM.breaks


async def test_a_get_over_a_connection_that_just_ended_is_asked_once_more(start: Start) -> None:
    """How a server looks that stops: the connection was idle, and ends as the request arrives."""
    talks = 0

    async def every_second_closes(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal talks
        talks += 1
        if talks % 2 == 0:
            writer.transport.abort()
        else:
            writer.write(answer())

    async with backend(every_second_closes) as one, start(orders=to(one), limits=SELDOM) as gateway:
        assert [(await gateway.http.get("/orders")).status_code for _ in range(4)] == [200] * 4
        assert (await gateway.http.post("/orders", json={})).status_code == 502


async def test_an_idle_connection_that_the_backend_closes_harms_nobody(start: Start) -> None:
    async with backend() as one, start(orders=to(one), limits=SELDOM) as gateway:
        for _ in range(5):
            assert (await gateway.http.post("/orders", json={})).status_code == 200
            for writer in list(one.open):
                writer.close()
            (known,) = gateway.gateway.backends
            await until(lambda known=known: known.connections == 0)  # type: ignore[misc] # bound now, not later


async def test_an_unused_connection_is_closed_before_the_backend_tires_of_it(start: Start) -> None:
    limits = SELDOM._replace(backend_idle_seconds=0.1)
    async with backend() as one, start(orders=to(one), limits=limits) as gateway:
        await gateway.http.get("/orders")
        (known,) = gateway.gateway.backends
        assert known.connections == 1
        await until(lambda: known.connections == 0)


async def test_connections_to_a_backend_are_bounded_and_who_waits_too_long_is_told(start: Start) -> None:
    async def slow(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.45)
        writer.write(answer())

    limits = SELDOM._replace(backend_connections=4, backend_waiting=4)
    async with backend(slow) as one, start(orders=to(one), limits=limits) as gateway:
        found = await asyncio.gather(*(gateway.http.post("/orders", json={}) for _ in range(20)))
        statuses = [each.status_code for each in found]
        assert statuses.count(200) == len(one.got) == 4
        assert {each.json()["type"] for each in found if each.status_code == 503} == {"/problems/backends-full"}
        assert one.connections <= 5


async def test_an_answer_that_nobody_wants_any_more_is_still_waited_for(start: Start) -> None:
    async def slow(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(answer())

    async with backend(slow) as one, start(orders=to(one), limits=SELDOM) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        await until(lambda: len(one.got) == 1)
        writer.close()
        (known,) = gateway.gateway.backends
        await until(lambda: known.requests == 1 and known.in_flight == 0)
        assert known.failures == 0
        assert gateway.gateway.under_way == set()
        assert (await gateway.http.post("/orders", json={})).status_code == 200

"""The client between services: one time for a whole call, few connections, and asked again only where that is safe."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.listening import listening

from cludale.web.client import Client, NoAnswer
from cludale.web.http1 import Target

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A server that answers each request, unless the test has other things in mind; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.connections = 0
        self.at_once = 0
        self.most_at_once = 0
        self.answers_each = 1_000
        """Requests of a connection before it is closed, as one that was idle for too long is."""
        self.seconds = 0.0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for _ in range(self.answers_each):
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            await asyncio.sleep(self.seconds)
            self.at_once -= 1
            writer.write(ANSWER)
        await reader.readuntil(b"\r\n\r\n")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    async with listening(made.serve) as made.port:
        yield made


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    target = Target("127.0.0.1", server.port)
    made = Client(target, connections=2, timeout_seconds=2, headers={"dapr-api-token": "secret"})
    yield made
    await made.close()


async def test_connections_are_kept_and_no_more_than_so_many_are_opened(server: Server, client: Client) -> None:
    server.seconds = 0.01
    answers = await asyncio.gather(*(client.ask("GET", "/x") for _ in range(10)))
    assert [each.status for each in answers] == [200] * 10
    assert server.connections == server.most_at_once == 2


async def test_its_headers_go_with_every_call_and_a_trace_that_is_one(server: Server, client: Client) -> None:
    await client.ask("GET", "/x", headers={"x-a": "b"}, traceparent="00-1-2-01")
    await client.ask("GET", "/x", traceparent="00-1\r\nx-b: c")
    first, second = server.asked
    assert b"\r\ndapr-api-token: secret\r\nx-a: b\r\ntraceparent: 00-1-2-01\r\n" in first
    assert b"dapr-api-token: secret" in second
    assert b"traceparent" not in second


async def test_a_call_that_finds_its_connection_closed_is_asked_again_if_that_is_safe(
    server: Server, client: Client
) -> None:
    server.answers_each = 1
    await client.ask("POST", "/x")
    with pytest.raises(NoAnswer):
        await client.ask("POST", "/x")
    await client.ask("POST", "/x")
    assert (await client.ask("POST", "/x", repeatable=True)).status == 200


async def test_what_takes_too_long_is_given_up_and_the_next_call_has_a_connection(
    server: Server, client: Client
) -> None:
    server.seconds = 5
    for _ in range(3):
        with pytest.raises(NoAnswer, match=r"no answer within 0\.05 s"):
            await client.ask("GET", "/x", timeout_seconds=0.05)
    server.seconds = 0
    assert (await client.ask("GET", "/x")).status == 200


async def test_a_server_that_is_not_there_is_no_answer() -> None:
    with pytest.raises(NoAnswer):
        await Client(Target("127.0.0.1", 9), connections=1, timeout_seconds=1).ask("GET", "/")

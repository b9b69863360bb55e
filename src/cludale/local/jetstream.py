"""JetStream's own API, as much of it as a stream needs to be made and looked at: requests over one NATS connection.

Events go through the sidecars; this is for whoever sets a broker up.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from cludale.local.topology import DEAD_LETTERS, TOPICS, dead_letters_of, topics_heard

STREAM = "cludale"
DUPLICATE_WINDOW_SECONDS = 120
"""A second publish of one event within this time is dropped by the broker; after it, by the inbox."""
MAX_BYTES = 8 * 2**30
ACK_WAIT_SECONDS = 30
MAX_ACK_PENDING = 500
ANSWER_SECONDS = 5
_NANOSECONDS = 1_000_000_000
_NO_SUCH_STREAM = 10059


class BrokerRefused(Exception):
    """The broker answered a request with an error; the message says which."""


class Requests:
    """Requests over one connection, one at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._count = 0

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Self]:
        """Connected to `nats://user:password@host:port` for the block. Raises OSError, TimeoutError, BrokerRefused."""
        there = urlsplit(url)
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(there.hostname, there.port or 4222)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await reader.readline()
                hello: dict[str, Any] = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True}
                if there.username is not None:
                    hello |= {"user": unquote(there.username), "pass": unquote(there.password or "")}
                writer.write(b"CONNECT " + json.dumps(hello).encode() + b"\r\nPING\r\n")
                requests = cls(reader, writer)
                await requests._until("PONG")
            yield requests
        finally:
            writer.close()

    async def request(self, subject: str, body: Any = None) -> dict[str, Any]:
        """The answer to a request on the subject, `{"error": {"code", "err_code", "description"}}` included.

        Raises OSError, TimeoutError, BrokerRefused.
        """
        self._count += 1
        inbox, payload = f"_INBOX.cludale.{self._count}", b"" if body is None else json.dumps(body).encode()
        async with asyncio.timeout(ANSWER_SECONDS):
            self._writer.write(f"SUB {inbox} {self._count}\r\nUNSUB {self._count} 1\r\n".encode())
            self._writer.write(f"PUB {subject} {inbox} {len(payload)}\r\n".encode() + payload + b"\r\n")
            words = await self._until("MSG", "HMSG")
            content = await self._reader.readexactly(int(words[-1]) + 2)
        if words[0] == "HMSG":
            raise BrokerRefused(f"nobody answers {subject}: {content.decode(errors='replace').strip()}")
        answer: dict[str, Any] = json.loads(content)
        return answer

    async def _until(self, *wanted: str) -> list[str]:
        while line := await self._reader.readline():
            words = line.decode().split()
            if words[:1] == ["PING"]:
                self._writer.write(b"PONG\r\n")
            elif words[:1] == ["-ERR"]:
                raise BrokerRefused(line.decode().strip())
            elif words and words[0] in wanted:
                return words
        raise BrokerRefused("the broker closed the connection")


async def ensure_stream(url: str, services: Collection[str]) -> None:
    """Make the stream `cludale` and the services' consumers, or bring them to what they should be.

    `services` are app ids. Before any of them runs: what is published for a consumer that is not there yet is lost.
    Raises OSError, TimeoutError, BrokerRefused.
    """
    stream = stream_of(services)
    wanted = {str(each["durable_name"]): each for name in services for each in consumers_of(name)}
    async with Requests.to(url) as requests:
        answer = await requests.request(f"$JS.API.STREAM.UPDATE.{STREAM}", stream)
        if answer.get("error", {}).get("err_code") == _NO_SUCH_STREAM:
            answer = await requests.request(f"$JS.API.STREAM.CREATE.{STREAM}", stream)
        _check(answer, f"the stream {STREAM} can't be made")
        answer = await requests.request(f"$JS.API.CONSUMER.NAMES.{STREAM}", {})
        _check(answer, "the stream's consumers can't be listed")
        existing = set(answer["consumers"] or ())
        for name, consumer in wanted.items():
            if name not in existing:
                made = await requests.request(
                    f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.{name}", {"stream_name": STREAM, "config": consumer}
                )
                _check(made, f"the consumer {name} can't be made")
        for name in existing - set(wanted):
            # what nobody hears any more would be kept for it for ever
            if any(name.startswith(f"{service}-") for service in services):
                await requests.request(f"$JS.API.CONSUMER.DELETE.{STREAM}.{name}")


def stream_of(services: Collection[str]) -> dict[str, Any]:
    """The stream's configuration, as JetStream's API wants it."""
    return {
        "name": STREAM,
        "subjects": [*TOPICS, *(dead_letters_of(service) for service in sorted(services))],
        "storage": "file",
        # a message stays until each consumer of its subject has acknowledged it
        "retention": "interest",
        # full is full: the outboxes wait, rather than that the oldest event is thrown away
        "discard": "new",
        "max_bytes": MAX_BYTES,
        "duplicate_window": DUPLICATE_WINDOW_SECONDS * _NANOSECONDS,
        "num_replicas": 1,
    }


def consumers_of(service: str) -> list[dict[str, Any]]:
    """The durable consumers of a service, one a topic that it hears and one for its dead letters.

    As the component file has them (docker/components/nats): Dapr takes a consumer that is there as it is.
    """
    # by the component through which a topic is heard
    subjects = {topic: topic for topic in topics_heard(service)}
    if subjects:
        subjects[DEAD_LETTERS] = dead_letters_of(service)
    return [
        {
            "durable_name": f"{service}-{name}",
            "filter_subject": subject,
            "deliver_subject": f"deliver.{service}.{name}",
            "deliver_group": f"{service}-{name}",
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": ACK_WAIT_SECONDS * _NANOSECONDS,
            "max_ack_pending": MAX_ACK_PENDING,
            "replay_policy": "instant",
        }
        for name, subject in subjects.items()
    ]


def _check(answer: dict[str, Any], what: str) -> None:
    if "error" in answer:
        raise BrokerRefused(f"{what}: {answer['error'].get('description')}")

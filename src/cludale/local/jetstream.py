"""JetStream's own API, as much of it as a stream needs to be made and looked at: requests over one NATS connection.

Events go through the sidecars; this is for whoever sets a broker up.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from cludale.adapters.dapr.probing import PROBES
from cludale.local.topology import TOPICS, dead_letters_of, topics_heard

STREAM = "cludale"
DUPLICATE_WINDOW_SECONDS = 120
"""A second publish of one event within this time is dropped by the broker; after it, by the inbox."""
MAX_BYTES = 4 * 2**30
PROBE_BYTES = 2**20
ACK_WAIT_SECONDS = 15
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


async def ensure_streams(url: str, services: Collection[str]) -> None:
    """Make the streams and the services' consumers, or bring them to what they should be.

    `services` are app ids. Before any of them runs: what is published for a consumer that is not there yet is lost.
    Raises OSError, TimeoutError, BrokerRefused.
    """
    async with Requests.to(url) as requests:
        for configuration in streams_of(services):
            await _ensure_stream(requests, configuration)
        consumers = [each for name in services for each in consumers_of(name)]
        for stream in {each.stream for each in consumers}:
            await _ensure_consumers(requests, stream, [each for each in consumers if each.stream == stream], services)


async def _ensure_stream(requests: Requests, stream: dict[str, Any]) -> None:
    name = stream["name"]
    answer = await requests.request(f"$JS.API.STREAM.UPDATE.{name}", stream)
    if answer.get("error", {}).get("err_code") == _NO_SUCH_STREAM:
        answer = await requests.request(f"$JS.API.STREAM.CREATE.{name}", stream)
    _check(answer, f"the stream {name} can't be made")


async def _ensure_consumers(
    requests: Requests, stream: str, wanted: "list[Consumer]", services: Collection[str]
) -> None:
    answer = await requests.request(f"$JS.API.CONSUMER.NAMES.{stream}", {})
    _check(answer, f"the consumers of {stream} can't be listed")
    existing = set(answer["consumers"] or ())
    for consumer in wanted:
        if consumer.name not in existing:
            made = await requests.request(
                f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{consumer.name}",
                {"stream_name": stream, "config": consumer.configuration()},
            )
            _check(made, f"the consumer {consumer.name} can't be made")
    for name in existing - {each.name for each in wanted}:
        # what nobody hears any more would be kept for it for ever
        if any(name.startswith(f"{service}-") for service in services):
            await requests.request(f"$JS.API.CONSUMER.DELETE.{stream}.{name}")


def streams_of(services: Collection[str]) -> list[dict[str, Any]]:
    """The streams' configurations, as JetStream's API wants them.

    One of all events, one of each app's dead letters, and one for the probes of whether anything is taken.

    Dead letters are apart because a stream takes a message of one id once: an event that is buried soon after it was
    published would be dropped, as would one that two services bury.
    """
    return [
        _stream(STREAM, TOPICS),
        *(_stream(dead_letters_of(service), [dead_letters_of(service)]) for service in sorted(services)),
        # nobody hears it: the last probe is kept, for a stream without a consumer would write nothing
        {**_stream(PROBES, [PROBES]), "retention": "limits", "discard": "old", "max_bytes": PROBE_BYTES, "max_msgs": 1},
    ]


def _stream(name: str, subjects: Sequence[str]) -> dict[str, Any]:
    return {
        "name": name,
        "subjects": list(subjects),
        "storage": "file",
        # a message stays until each consumer of its subject has acknowledged it
        "retention": "interest",
        # full is full: the outboxes wait, rather than that the oldest event is thrown away
        "discard": "new",
        "max_bytes": MAX_BYTES,
        "duplicate_window": DUPLICATE_WINDOW_SECONDS * _NANOSECONDS,
        "num_replicas": 1,
    }


class Consumer(NamedTuple):
    """A durable consumer: one service's, of one topic, or of its dead letters."""

    stream: str
    name: str
    subject: str

    def configuration(self) -> dict[str, Any]:
        """As JetStream's API wants it; as in the component file, for Dapr takes a consumer that is there as it is."""
        return {
            "durable_name": self.name,
            "filter_subject": self.subject,
            "deliver_subject": f"deliver.{self.name}",
            "deliver_group": self.name,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": ACK_WAIT_SECONDS * _NANOSECONDS,
            "max_ack_pending": MAX_ACK_PENDING,
            "replay_policy": "instant",
        }


def consumers_of(service: str) -> list[Consumer]:
    """One for each topic that the service hears, and one for its dead letters."""
    topics = topics_heard(service)
    dead = dead_letters_of(service)
    return [
        *(Consumer(STREAM, f"{service}-{topic}", topic) for topic in topics),
        *([Consumer(dead, dead, dead)] if topics else []),
    ]


def _check(answer: dict[str, Any], what: str) -> None:
    if "error" in answer:
        raise BrokerRefused(f"{what}: {answer['error'].get('description')}")

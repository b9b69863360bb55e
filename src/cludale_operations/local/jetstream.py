"""JetStream's streams and consumers: made, and brought to what they should be, before the first event.

Events go through the sidecars; this is for whoever sets a broker up.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from cludale.adapters.dapr.probing import PROBES
from cludale.web.trust import trust_named_in
from cludale_operations.local.topology import TOPICS, dead_letters_of, topics_heard, topics_told

if TYPE_CHECKING:
    from nats.js import JetStreamContext

STREAM = "cludale"
DUPLICATE_WINDOW_SECONDS = 120
"""A second publish of one event within this time is dropped by the broker; after it, by the state of who hears it."""
MAX_BYTES = 4 * 2**30
DEAD_LETTER_BYTES = 2**28
"""Dead letters only pass through: a service takes its own at once, and keeps them in its store."""
PROBE_BYTES = 2**20
_STORAGE_EXCEEDED = 10_047
"""JetStream's number for a stream that has no room (JSStorageResourcesExceededErr, nats-server's errors.json)."""
ACK_WAIT_SECONDS = 15
MAX_ACK_PENDING = 500
ANSWER_SECONDS = 5


class BrokerRefused(Exception):
    """The broker refused a connection or a request, or can't be asked; the message says why."""


@asynccontextmanager
async def jetstream(url: str) -> "AsyncIterator[JetStreamContext]":
    """JetStream at `nats://user:password@host:port`, for the block. Raises BrokerRefused, TimeoutError.

    Over TLS it is `tls://user:password@host:port?cacertfile=/path`, with the certificate that is trusted.
    """
    try:
        import nats.errors  # noqa: PLC0415 - an extra
        from nats.aio.client import Client  # noqa: PLC0415

        import nats  # noqa: PLC0415 - an extra
    except ImportError as missing:
        raise BrokerRefused(f"its client is not installed ({missing}): pip install 'cludale[distributed]'") from missing

    why: list[Exception] = []

    async def keep(error: Exception) -> None:
        """Instead of logging it: what the client raises in the end may not say it."""
        why[:] = [error]

    there = urlsplit(url)
    client = Client()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await client.connect(
                f"{there.scheme}://{there.hostname}:{there.port or 4222}",
                tls=trust_named_in(url),
                user=unquote(there.username) if there.username is not None else None,
                password=unquote(there.password or ""),  # the client would send `%40` as it is
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                allow_reconnect=False,
                error_cb=keep,
            )
        yield client.jetstream(timeout=ANSWER_SECONDS)
    except nats.errors.NoServersError as error:
        raise BrokerRefused(str(why[0]) if why else str(error)) from error
    except nats.errors.Error as error:
        raise BrokerRefused(str(error)) from error
    except ssl.SSLError as error:
        raise BrokerRefused(f"its certificate is not trusted: {error}") from error
    except ConnectionError as error:  # a server that takes a new configuration may cut off who is just coming in
        raise BrokerRefused(f"the connection ended ({error})") from error
    except TimeoutError as error:
        if not why:
            raise
        raise BrokerRefused(str(why[0])) from error
    finally:
        # of a server whose certificate it does not trust the client can't let go; a TimeoutError is an OSError
        with suppress(OSError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await client.close()


async def ensure_streams(url: str, services: Collection[str]) -> None:
    """Make the streams and the services' consumers, or bring them to what they should be.

    `services` are app ids. Before any of them runs: what is published for a consumer that is not there yet is lost.
    Raises BrokerRefused, TimeoutError.
    """
    consumers = [each for name in services for each in consumers_of(name)]
    streams = streams_of(services)
    async with jetstream(url) as broker:
        for stream in streams:
            await _ensure_stream(broker, stream, reserved=sum(each["max_bytes"] for each in streams))
        for name in {each.stream for each in consumers}:
            await _ensure_consumers(broker, name, [each for each in consumers if each.stream == name], services)


async def _ensure_stream(broker: "JetStreamContext", stream: dict[str, Any], *, reserved: int) -> None:
    from nats.js.errors import APIError, NotFoundError  # noqa: PLC0415 - an extra

    try:
        try:
            await broker.update_stream(**stream)
        except NotFoundError:
            await broker.add_stream(**stream)
    except APIError as error:
        if error.err_code != _STORAGE_EXCEEDED:
            raise
        raise BrokerRefused(
            f"too little room on NATS's disk: its streams reserve {reserved / 2**30:.1f} GiB, and it gives them three "
            "quarters of what is free (or max_file_store in its configuration)"
        ) from error


async def _ensure_consumers(
    broker: "JetStreamContext", stream: str, wanted: "list[Consumer]", services: Collection[str]
) -> None:
    existing = {each.name for each in await broker.consumers_info(stream)}
    for consumer in wanted:
        if consumer.name not in existing:
            await broker.add_consumer(stream, **consumer.configuration())
    for name in existing - {each.name for each in wanted}:
        # what nobody hears any more would be kept for it for ever
        if any(name.startswith(f"{service}-") for service in services):
            await broker.delete_consumer(stream, name)


def streams_of(services: Collection[str]) -> list[dict[str, Any]]:
    """The streams' configurations, as the client takes them.

    One of all events, one of each app's dead letters, and one for the probes of whether anything is taken.

    Dead letters are apart because a stream takes a message of one id once: an event that is buried soon after it was
    published would be dropped, as would one that two services bury.
    """
    return [
        _stream(STREAM, TOPICS),
        *(
            {**_stream(dead_letters_of(service), [dead_letters_of(service)]), "max_bytes": DEAD_LETTER_BYTES}
            for service in sorted(services)
        ),
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
        "duplicate_window": DUPLICATE_WINDOW_SECONDS,
        "num_replicas": 1,
    }


class Consumer(NamedTuple):
    """A durable consumer: one service's, of one topic, or of its dead letters."""

    stream: str
    name: str
    subject: str

    def configuration(self) -> dict[str, Any]:
        """As the client takes it; as in the component file, for Dapr takes a consumer that is there as it is."""
        return {
            "durable_name": self.name,
            "filter_subject": self.subject,
            "deliver_subject": f"deliver.{self.name}",
            "deliver_group": self.name,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": ACK_WAIT_SECONDS,
            "max_ack_pending": MAX_ACK_PENDING,
            "replay_policy": "instant",
        }


def permissions_of(service: str) -> dict[str, Any]:
    """What a service's user may do, as the server's configuration takes it: tell its own events, hear those for it.

    Consumers are made beforehand, so it needs no right to make, change or delete one.
    """
    consumers = consumers_of(service)
    asking = [f"$JS.API.CONSUMER.INFO.{each.stream}.{each.name}" for each in consumers]
    answering = [f"$JS.ACK.{each.stream}.{each.name}.>" for each in consumers]
    return {
        "publish": [*topics_told(service), dead_letters_of(service), PROBES, *asking, *answering],
        "subscribe": [*(each.configuration()["deliver_subject"] for each in consumers), "_INBOX.>"],
    }


def consumers_of(service: str) -> list[Consumer]:
    """One for each topic that the service hears, and one for its dead letters."""
    topics = topics_heard(service)
    dead = dead_letters_of(service)
    return [
        *(Consumer(STREAM, f"{service}-{topic}", topic) for topic in topics),
        *([Consumer(dead, dead, dead)] if topics else []),
    ]

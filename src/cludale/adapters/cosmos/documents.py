"""The documents in a container: records, outbox items, leases. Their form, and nothing else.

An id is unique within its logical partition, so the kind is part of it. A body is kept as text, byte for byte: as a
JSON value it would come back with other spacing, and audit's hashes go by the bytes. `tx` is the stamp of the batch
that wrote a document: greater than every other stamp in that batch, and proof of who wrote it.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cludale.adapters.cosmos.layout import FIELDS
from cludale.adapters.cosmos.stamps import as_text, from_text
from cludale.ports.outbox import Outgoing
from cludale.ports.records import IndexValue, Kind, Put, Stored

Document = dict[str, Any]

OUTBOX = "outbox"
"""The `kind` of outbox items; records have `<service>.<name>`, the others none."""
LEASES = "~leases"
"""The partition of the leases; no aggregate's name begins with a tilde."""

ID_BYTES = 1_023
PARTITION_BYTES = 2_048
_EXACT = 1 << 53
"""Numbers in JSON documents are doubles: integers beyond this are not themselves any more."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._~:,!@$&*+-]")


def kind_name(kind: Kind) -> str:
    """What a record's document says of its kind."""
    return f"{kind.service}.{kind.name}"


def escaped(text: str) -> str:
    """`text` with nothing in it that an id may not have: other characters as `=2F`, byte by byte."""
    return _UNSAFE.sub(lambda found: "".join(f"={byte:02X}" for byte in found[0].encode()), text)


def unescaped(text: str) -> str:
    """What was escaped."""
    return re.sub("(?:=[0-9A-F]{2})+", lambda found: bytes.fromhex(found[0].replace("=", "")).decode(), text)


def record_id(kind: Kind, id: str) -> str:
    """The id of a record's document. Raises ValueError for one that is too long."""
    return _fitting(f"{kind_name(kind)}|{escaped(id)}")


def outbox_id(stamp: int) -> str:
    """The id of an outbox item's document."""
    return f"outbox|{as_text(stamp)}"


def _fitting(id: str) -> str:
    if len(id) > ID_BYTES:
        raise ValueError(f"an id of {len(id)} bytes, {ID_BYTES} are the most: {id[:80]}…")
    return id


def check_partition(partition: str) -> None:
    """Can there be such a partition? Raises ValueError."""
    if len(partition.encode()) > PARTITION_BYTES or partition == LEASES:
        raise ValueError(f"{partition[:80]!r} can't be a partition")


def fields(put: Put) -> dict[str, IndexValue]:
    """The indexed fields of a record that have a value. Raises ValueError, OverflowError for what can't be stored."""
    names = put.kind.indexed
    if len(put.index) != len(names):
        raise ValueError(f"{put.id!r}: {len(put.index)} index values for the fields {names}")
    if put.kind.is_append_only and put.expected:
        raise ValueError(f"{put.id!r} can't be changed: records of {kind_name(put.kind)} are written once")
    for value in put.index:
        if isinstance(value, int) and not -_EXACT <= value <= _EXACT:
            raise OverflowError(f"{put.id!r}: {value} is beyond what a number in a document can be")
    return {name: value for name, value in zip(names, put.index, strict=True) if value is not None}


def body(content: bytes) -> dict[str, str]:
    """A body as text, or in base64 where it is none."""
    try:
        return {"body": content.decode()}
    except UnicodeDecodeError:
        return {"raw": base64.b64encode(content).decode()}


def record(partition: str, put: Put, *, came: str, tx: str) -> Document:
    """The document of a record as `put` leaves it."""
    return {
        "id": record_id(put.kind, put.id),
        "pk": partition,
        "kind": kind_name(put.kind),
        "version": put.expected + 1,
        "came": came,
        "tx": tx,
        FIELDS: fields(put),
        **body(put.body),
    }


def outbox(partition: str, owner: str, entries: Sequence[Outgoing], *, tx: str) -> Document:
    """The document of committed events; `came` is the position of the last of them."""
    last = entries[-1].position
    return {
        "id": outbox_id(last),
        "pk": partition,
        "kind": OUTBOX,
        "owner": owner,
        "came": as_text(last),
        "tx": tx,
        "events": [
            {"position": as_text(entry.position), "topic": entry.topic, "body": entry.body.decode()}
            for entry in entries
        ],
    }


def stored(document: Mapping[str, Any]) -> Stored:
    """The record that a document is."""
    content = document.get("body")
    data = base64.b64decode(document["raw"]) if content is None else content.encode()
    return Stored(unescaped(document["id"].partition("|")[2]), document["version"], data)


def outgoing(document: Mapping[str, Any]) -> list[Outgoing]:
    """The events of an outbox item."""
    return [
        Outgoing(from_text(event["position"]), event["topic"], event["body"].encode()) for event in document["events"]
    ]


class KnownDocument(NamedTuple):
    """What is known of a record's document: enough to write over it."""

    version: int
    etag: str
    came: str
    tx: str


def known(document: Mapping[str, Any]) -> KnownDocument:
    """What a record's document says of itself."""
    return KnownDocument(document["version"], document["_etag"], document["came"], document["tx"])

"""What lies in the state store. Every document says which transaction wrote it (`by`), so that one whose answer was
lost is known again.

| key | holds |
| --- | --- |
| `record/<kind>/<id>` | a record: version, body (Base64), the values of its indexed fields |
| `index/<kind>/<tree>` | the open end of a tree, with how many entries it has |
| `index/<kind>/<tree>/<level>/<number>` | a full node, never written again |

A kind has a tree of all its records, and one for each value of those indexed fields that are asked for by value.
"""

from collections.abc import Sequence
from hashlib import blake2b
from urllib.parse import quote

import msgspec

from cludale.adapters.dapr.state.index import Entry, Zone
from cludale.ports.records import IndexValue, Kind

ALL = "all"


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record. `came` is its place in the order in which the records of its kind came."""

    by: str
    version: int
    came: int
    body: bytes
    values: Sequence[IndexValue] = ()


class Mark(msgspec.Struct, frozen=True, gc=False):
    """A document without content: that it exists is all it says."""

    by: str


class End(msgspec.Struct):
    """The open end of a tree: entries and zones that no node holds yet."""

    by: str = ""
    count: int = 0
    entries: list[Entry] = []
    zones: list[list[Zone]] = []
    """By level, from the nodes of entries upwards."""


class Node(msgspec.Struct, frozen=True):
    """A full node: entries at level 0, above that zones."""

    by: str
    entries: list[Entry] = []
    zones: list[Zone] = []


encode = msgspec.json.Encoder().encode
read_record = msgspec.json.Decoder(Record).decode
read_mark = msgspec.json.Decoder(Mark).decode
read_end = msgspec.json.Decoder(End).decode
read_node = msgspec.json.Decoder(Node).decode


def record_key(kind: Kind, id: str) -> str:
    """Where the record is."""
    return f"record/{kind.service}.{kind.name}/{_plain(id)}"


def tree_key(kind: Kind, field: str | None = None, value: IndexValue = None) -> str:
    """Where the end of a tree is: of the records with this value in the field, or of all."""
    # any text may be a value, of any length; what a tree says is compared with the query again, so a hash will do
    tree = ALL if field is None else f"{field}-{blake2b(encode(value), digest_size=16).hexdigest()}"
    return f"index/{kind.service}.{kind.name}/{tree}"


def node_key(tree: str, zone: Zone) -> str:
    """Where the node is that `zone` sums up; `tree` is the key of its tree."""
    return f"{tree}/{zone.level}/{zone.number}"


def _plain(text: str) -> str:
    """`||` may be in no key."""
    return quote(text, safe=" ")

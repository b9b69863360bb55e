"""Cursors: where a page of a query ended, as opaque text that only the same query takes back. For stores."""

import base64
from hashlib import blake2b
from typing import Annotated, Final, Generic, Protocol, TypeVar

import msgspec
from msgspec import Meta

from cludale.ports.records import Kind, Query, UnusableCursor

_encode = msgspec.json.Encoder().encode

_MAX_NUMBER: Final = (1 << 63) - 1

Place = Annotated[int, Meta(ge=0, le=_MAX_NUMBER)]
"""A record's number in the order of coming. Anyone can forge a cursor, so it is held to what a store can look for."""
Value = str | Annotated[int, Meta(ge=-_MAX_NUMBER - 1, le=_MAX_NUMBER)] | None
"""An IndexValue, held to the same."""


class PlaceInAPage(Protocol):
    """What a store keeps in its cursors: the query that it belongs to, and whatever finds the place again."""

    @property
    def question(self) -> str:
        """What `question_of` said of the query."""
        ...


C = TypeVar("C", bound=PlaceInAPage)


def question_of(kind: Kind, query: Query) -> str:
    """The same for every page of one query, and for no other query."""
    asked = (
        kind.service,
        kind.name,
        sorted(query.equal.items()),
        sorted(query.contains.items()),
        sorted(query.within, key=repr),  # an open end can't be compared with a value
        query.order_by,
        query.descending,
    )
    return blake2b(_encode(asked), digest_size=8).hexdigest()


class Cursors(Generic[C]):
    """One store's cursors: a struct to text and back."""

    def __init__(self, type_: type[C]) -> None:
        self._decoder = msgspec.json.Decoder(type_)

    def read(self, text: str | None, question: str) -> C | None:
        """The cursor; None for the first page. Raises UnusableCursor for what another query, or nobody, gave."""
        if text is None:
            return None
        try:
            cursor = self._decoder.decode(base64.b64decode(text, altchars=b"-_", validate=True))
        except (ValueError, msgspec.MsgspecError) as error:
            raise UnusableCursor(f"{text[:100]!r} is no cursor") from error
        if cursor.question != question:
            raise UnusableCursor("the cursor belongs to another query")
        return cursor

    def write(self, cursor: C) -> str:
        """The cursor as text."""
        return base64.urlsafe_b64encode(_encode(cursor)).decode()

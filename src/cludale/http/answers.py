"""What goes back over HTTP, before any framework or server has a say in it."""

from typing import Any, NamedTuple

import msgspec

JSON = "application/json"
PROBLEM = "application/problem+json"

_encode = msgspec.json.Encoder().encode

Headers = tuple[tuple[str, str], ...]


class Answer(NamedTuple):
    """A whole answer: both lanes of the server send it byte for byte as it stands."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: Headers = ()


def json_answer(value: Any, status: int = 200) -> Answer:
    """`value` (msgspec Structs and plain values) as JSON."""
    return Answer(status, _encode(value))

"""JSON in which a value's fields stand beside those of what carries it: `{"orderId": "…", "section": "…"}`.

So code hands the value on whole, and whoever reads the JSON finds each field where it always was: clients, the hashes
of the audit log, and the version of the platform that runs beside this one during a release.
"""

from typing import Any, Generic, TypeVar, get_type_hints

import msgspec

S = TypeVar("S")

_encode = msgspec.json.Encoder().encode


class Flat(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Base of the values whose fields stand beside those of their carrier. No name may be in both."""


class FlatJson(Generic[S]):
    """The JSON of one type; of one that carries a Flat value, with that value's fields beside its own."""

    def __init__(self, type_: type[S]) -> None:
        self._decode = msgspec.json.Decoder(type_).decode
        self._field = _flat_field(type_)
        self._name = b"" if self._field is None else b'"%s":' % self._field.encode()

    def encode(self, state: S) -> bytes:
        """`state` as JSON."""
        return self.flatten(_encode(state), state)

    def flatten(self, body: bytes, state: S) -> bytes:
        """`body`, which is the JSON of `state` or of something around it, with the value's fields beside the others."""
        if self._field is None:
            return body
        value = _encode(getattr(state, self._field))
        # Quotes within JSON's texts are escaped, so the first place that reads so is the value's.
        return body.replace(self._name + value, value[1:-1], 1)

    def decode(self, body: bytes) -> S:
        """What `body` holds. Raises msgspec's errors."""
        if self._field is None:
            return self._decode(body)
        # One pass for both: the value is read from the same object as its carrier; each passes over the other's fields.
        return self._decode(b"".join((b"{", self._name, body, b",", body.lstrip()[1:])))


def _flat_field(type_: type[Any]) -> str | None:
    """The name of the field with such a value."""
    hints = get_type_hints(type_).items()
    found = [name for name, hint in hints if isinstance(hint, type) and issubclass(hint, Flat)]
    if len(found) > 1:
        raise TypeError(f"{type_.__name__} carries more than one: {', '.join(found)}")
    return found[0] if found else None

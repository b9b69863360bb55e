"""JSON in which a value's fields stand beside those of what carries it: `{"orderId": "…", "section": "…"}`.

So code hands the value on whole, and whoever reads the JSON finds each field where it always was: clients, the hashes
of the audit log, and the version of the platform that runs beside this one during a release.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec

S = TypeVar("S")

_encode = msgspec.json.Encoder().encode


class Flat(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Base of the values whose fields stand beside those of their carrier. No name may be in both."""


def fields_of(value: msgspec.Struct) -> dict[str, object]:
    """What it says, by field: those that are unset say nothing."""
    return {name: said for name, said in msgspec.structs.asdict(value).items() if said is not msgspec.UNSET}


class FlatJson(Generic[S]):
    """The JSON of one type; of one that carries a Flat value, with that value's fields beside its own.

    The value is its carrier's last field, so that its braces are found without looking for them.
    """

    def __init__(self, type_: type[S]) -> None:
        """Raises TypeError for a type that carries such a value in another field than its last."""
        self._decode = msgspec.json.Decoder(type_).decode
        field = _flat_field(type_)
        self._opens = b"" if field is None else b'"%b":{' % field.encode()
        self.encode: Callable[[Any], bytes] = _encode if field is None else self._encode_flat
        """A state as JSON, or what has one at its end."""
        self.decode: Callable[[bytes | msgspec.Raw], S] = self._decode if field is None else self._decode_flat
        """What a body holds, its fields in any order. Raises msgspec's errors."""

    def _encode_flat(self, carrier: Any) -> bytes:
        """Quotes within JSON's texts are escaped, so the last place that reads like the value's beginning is it."""
        before, _, after = _encode(carrier).rpartition(self._opens)
        return before + after[:-1]

    def _decode_flat(self, body: bytes | msgspec.Raw) -> S:
        # One pass for both: the value is read from a copy of its carrier; each passes over the other's fields.
        fields = bytes(body).lstrip()[1:]
        return self._decode(b"{%b%b,%b" % (self._opens, fields, fields))


def _flat_field(type_: type[Any]) -> str | None:
    """The name of the field with such a value."""
    hints = list(get_type_hints(type_).items())
    found = [name for name, hint in hints if isinstance(hint, type) and issubclass(hint, Flat)]
    if found and found != [type_.__struct_fields__[-1]]:
        raise TypeError(f"{type_.__name__}: {', '.join(found)} has to be its one value of this kind and its last field")
    return found[0] if found else None

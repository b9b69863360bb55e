"""Names that are there twice in one JSON object. Parsers differ in which of the two they take, so neither is taken."""

import json
from collections.abc import Iterator
from typing import Any

LONGEST = 100
"""Characters of a name that are said again."""
MOST = 50


class _Object(list[tuple[str, Any]]):
    """An object as it is written: all its names with their values."""


def repeated_names(body: bytes) -> list[str]:
    """Each name that is there twice, as `price.amount` or `sections[0].name`; `body` is valid JSON. Raises
    RecursionError. To be asked where `may_repeat` says so.
    """
    # The values don't matter, and a number may be too long for Python's int.
    written = json.loads(body, object_pairs_hook=_Object, parse_int=str, parse_float=str)
    return list(dict.fromkeys(_repeated(written, "")))[:MOST]


def may_repeat(body: bytes) -> bool:
    """Is a name there twice anywhere, or one with an escape in it? Without these none is there twice in one object.

    Most bodies are cleared by this look at their strings, which takes a microsecond or two.
    """
    is_escaped = body.find(b"\\") >= 0  # `in` takes longer: it asks first whether it is given a number
    if is_escaped and (b'\\"' in body or b"\\\\" in body):
        return True  # quotes don't tell where strings end
    parts = body.split(b'"')
    strings = parts[1::2]
    if len(set(strings)) == len(strings) and not is_escaped:
        return False
    names = [string for string, after in zip(strings, parts[2::2], strict=True) if after.lstrip()[:1] == b":"]
    return len(set(names)) < len(names) or any(b"\\" in name for name in names)


def _repeated(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Object):
        seen = set()
        for name, within in value:
            at = f"{path}.{name[:LONGEST]}" if path else name[:LONGEST]
            if name in seen:
                yield at
            seen.add(name)
            yield from _repeated(within, at)
    elif isinstance(value, list):
        for number, within in enumerate(value):
            yield from _repeated(within, f"{path}[{number}]")

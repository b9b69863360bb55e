"""The trace: what happened in a run, line by line, for a person to read, and its digest."""

import re
from collections.abc import Callable
from hashlib import sha256

Sink = Callable[[str], None]

_ID = re.compile(r"\b([a-z]+)-([0-9a-f]{32})\b")


class Trace:
    """Hands lines to `sink`; off without one. Long ids are told by number: `order-3`, and its `payment-3`."""

    def __init__(self, sink: Sink | None = None) -> None:
        self.on = sink is not None
        self._sink = sink
        self._now: Callable[[], float] = lambda: 0.0
        self._numbers: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def follow(self, now: Callable[[], float]) -> None:
        """Tell this time with each line."""
        self._now = now

    def say(self, who: str, what: str) -> None:
        """Add a line."""
        if self._sink is not None:
            self._sink(f"{self._now():10.4f}  {who:<16} {_ID.sub(self._short, what)}")

    def short(self, text: str) -> str:
        """`text` with the ids as the trace tells them."""
        return _ID.sub(self._short, text)

    def _short(self, match: re.Match[str]) -> str:
        prefix, digits = match.groups()
        number = self._numbers.get(digits)
        if number is None:
            family = "event" if prefix == "event" else "id"
            number = self._numbers[digits] = self._counts[family] = self._counts.get(family, 0) + 1
        return f"{prefix}-{number}"


class Digest:
    """Keeps only the SHA-256 of all lines."""

    def __init__(self) -> None:
        self._hash = sha256()
        self.lines = 0

    def __call__(self, line: str) -> None:
        """Take a line in."""
        self._hash.update(line.encode() + b"\n")
        self.lines += 1

    def hexdigest(self) -> str:
        """The digest of all lines so far."""
        return self._hash.hexdigest()

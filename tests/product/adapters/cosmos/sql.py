"""The part of Cosmos DB's SQL that the double understands: what the adapter writes, and nothing beyond it.

Comparisons follow the documented rules: what is undefined, or of another type, is neither less nor greater, and a
condition on it does not hold. Text compares by its characters. Written from the documentation; not Microsoft's code.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Document = Mapping[str, Any]
Value = Callable[[Document], Any]


class NotUnderstood(Exception):
    """This is no query of the kind that the double knows."""


class _Undefined:
    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = _Undefined()

_TOKENS = re.compile(
    r"\s*(?:(?P<word>[A-Za-z_]\w*)|(?P<parameter>@\w+)|(?P<number>\d+)|(?P<text>\"[^\"]*\")|(?P<sign><=|>=|[<>=*(),.\[\]]))"
)


class Query(NamedTuple):
    """A query that was understood."""

    top: int | None
    star: bool
    paths: Sequence[str]
    """What is selected, if not everything."""
    holds: Value
    used: Sequence[str]
    """The paths in its condition."""
    order: Sequence[tuple[str, bool]]
    """Path and whether descending."""


def parse(text: str, parameters: Mapping[str, Any]) -> Query:
    """Understand a query. Raises NotUnderstood."""
    return _Parser(text, parameters).query()


def at(document: Document, path: str) -> Any:
    """The value at `/a/b`, or UNDEFINED."""
    found: Any = document
    for name in path[1:].split("/"):
        if not isinstance(found, Mapping) or name not in found:
            return UNDEFINED
        found = found[name]
    return found


class _Parser:
    def __init__(self, text: str, parameters: Mapping[str, Any]) -> None:
        self._tokens: list[str] = []
        self._parameters = parameters
        self._used: list[str] = []
        self._alias = "c"
        position = 0
        while position < len(text.rstrip()):
            found = _TOKENS.match(text, position)
            if found is None:
                raise NotUnderstood(f"at {text[position:][:20]!r}")
            self._tokens.append(found[0].strip())
            position = found.end()
        self._tokens.append("")
        self._next = 0

    def query(self) -> Query:
        self._want("SELECT")
        top = int(self._take()) if self._has("TOP") else None
        star = self._has("*")
        paths: list[str] = []
        if not star:
            paths.append(self._path(self._take()))
            while self._has(","):
                paths.append(self._path(self._take()))
        self._want("FROM")
        self._alias = self._take()
        holds: Value = lambda _: True  # noqa: E731
        if self._has("WHERE"):
            holds = self._either()
        used = tuple(self._used)
        order: list[tuple[str, bool]] = []
        if self._has("ORDER"):
            self._want("BY")
            while True:
                path = self._path(self._take())
                descending = self._has("DESC")
                if not descending:
                    self._has("ASC")
                order.append((path, descending))
                if not self._has(","):
                    break
        if self._take():
            raise NotUnderstood(f"{self._tokens[self._next - 1]!r} is too much")
        return Query(top, star, paths, holds, used, order)

    def _take(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1]

    def _has(self, token: str) -> bool:
        if self._tokens[self._next].upper() != token.upper():
            return False
        self._next += 1
        return True

    def _want(self, token: str) -> None:
        if not self._has(token):
            raise NotUnderstood(f"{self._tokens[self._next]!r} where {token} must stand")

    def _either(self) -> Value:
        parts = [self._both()]
        while self._has("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda document: any(part(document) is True for part in parts)

    def _both(self) -> Value:
        parts = [self._one()]
        while self._has("AND"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda document: all(part(document) is True for part in parts)

    def _one(self) -> Value:
        if self._has("NOT"):
            inner = self._one()
            return lambda document: inner(document) is False
        if self._has("("):
            grouped = self._either()
            self._want(")")
            return grouped
        token = self._take()
        if self._tokens[self._next] == "(":
            return self._function(token.upper())
        left = self._value(token)
        sign = self._take()
        right = self._value(self._take())
        return _comparison(sign, left, right)

    def _function(self, name: str) -> Value:
        self._want("(")
        arguments = [self._value(self._take())]
        while self._has(","):
            arguments.append(self._value(self._take()))
        self._want(")")
        match name, arguments:
            case "IS_DEFINED", [value]:
                return lambda document: value(document) is not UNDEFINED
            case "CONTAINS", [whole, part]:
                return lambda document: _contains(whole(document), part(document))
            case "ARRAY_CONTAINS", [array, value]:
                return lambda document: value(document) in array(document)
        raise NotUnderstood(f"{name} with {len(arguments)} arguments")

    def _value(self, token: str) -> Value:
        if token.startswith("@"):
            if token not in self._parameters:
                raise NotUnderstood(f"{token} has no value")
            given = self._parameters[token]
            if isinstance(given, list):
                given = frozenset(given)
            return lambda _: given
        path = self._path(token)
        self._used.append(path)
        return lambda document: at(document, path)

    def _path(self, token: str) -> str:
        if token != self._alias:
            raise NotUnderstood(f"{token!r} is no path of {self._alias}")
        path = ""
        while True:
            if self._has("."):
                path += f"/{self._take()}"
            elif self._has("["):
                path += f"/{self._take()[1:-1]}"
                self._want("]")
            else:
                return path


def _contains(whole: Any, part: Any) -> Any:
    if not isinstance(whole, str) or not isinstance(part, str):
        return UNDEFINED
    return part in whole


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda one, other: one == other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


def _comparison(sign: str, left: Value, right: Value) -> Value:
    if sign not in _COMPARE:
        raise NotUnderstood(f"{sign!r} is no comparison")
    compare = _COMPARE[sign]

    def holds(document: Document) -> Any:
        one, other = left(document), right(document)
        if one is UNDEFINED or other is UNDEFINED or isinstance(one, str) != isinstance(other, str):
            return UNDEFINED
        return compare(one, other)

    return holds

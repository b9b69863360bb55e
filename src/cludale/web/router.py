"""The table of routes: which endpoint a request's method and target lead to. No I/O."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from cludale.web.framing import OPTIONS_OF_THE_SERVER, WHOLE_SERVER
from cludale.web.problems import MethodNotAllowed, NoSuchRoute
from cludale.web.responses import Response
from cludale.web.routing import Handler


class Endpoint(NamedTuple):
    """A route as the server calls it: its handler raises nothing."""

    method: str
    path: str
    handle: Handler
    max_body_bytes: int | None = None


class Found(NamedTuple):
    """Where a request goes, and what its target says beside that."""

    endpoint: Endpoint
    segment: str = ""
    query: str = ""


class _Pattern(NamedTuple):
    """A path with one `{…}` segment, and its endpoints by method."""

    prefix: str
    suffix: str
    methods: dict[str, Endpoint]


_SLASHES = re.compile("//+")
FOUND_KEPT = 1_024
"""Targets that were asked for last and are found at once: those of a hot concert are asked for over and over."""
FOUND_BYTES = 128
"""Longer ones are looked for each time, so that what is kept stays small."""

Refuse = Callable[[str, str, Exception], Response]
"""Method, route and error to a response that is counted."""


class Router:
    """All endpoints. A path that has one is answered to any method: with 405, if there is none for it."""

    def __init__(self, endpoints: Iterable[Endpoint], refuse: Refuse) -> None:
        self._refuse = refuse
        self._exact: dict[str, dict[str, Endpoint]] = {}
        self._patterns: dict[int, list[_Pattern]] = {}
        self._at_once: dict[tuple[bytes, bytes], Found] = {}
        self._search_kept = lru_cache(FOUND_KEPT)(self._search)
        for endpoint in endpoints:
            self._add(endpoint)

    def _add(self, endpoint: Endpoint) -> None:
        head, gap, tail = endpoint.path.partition("{")
        if not gap:
            self._exact.setdefault(endpoint.path, {})[endpoint.method] = endpoint
            self._at_once[endpoint.method.encode(), endpoint.path.encode()] = Found(endpoint)
            return
        among = self._patterns.setdefault(endpoint.path.count("/"), [])
        suffix = tail.partition("}")[2]
        pattern = next((each for each in among if each[:2] == (head, suffix)), None)
        if pattern is None:
            pattern = _Pattern(head, suffix, {})
            among.append(pattern)
        pattern.methods[endpoint.method] = endpoint

    def find(self, method: bytes, target: bytes) -> Found:
        """Where a request goes; `target` is a path with its query."""
        found = self._at_once.get((method, target))
        if found is not None:
            return found
        return self._search_kept(method, target) if len(target) <= FOUND_BYTES else self._search(method, target)

    def _search(self, spelled: bytes, target: bytes) -> Found:
        method = spelled.decode()
        raw, _, query = target.decode("latin-1").partition("?")
        asked = unquote(raw) if "%" in raw else raw
        path = _SLASHES.sub("/", asked)
        if path[-1:] == "/":
            path = path[:-1] or "/"
        methods, segment = self._exact.get(path), ""
        for prefix, suffix, each in self._patterns.get(path.count("/"), ()) if methods is None else ():
            middle = path[len(prefix) : len(path) - len(suffix)]
            if path.startswith(prefix) and path.endswith(suffix) and middle and "/" not in middle:
                methods, segment = each, middle
                break
        if methods is None:
            return Found(self._missing(method, asked))
        endpoint = methods.get(method)
        return Found(endpoint or self._not_allowed(method, methods), segment, query)

    def _missing(self, method: str, path: str) -> Endpoint:
        if path == WHOLE_SERVER.decode() and method == "OPTIONS":
            return Endpoint(method, path, lambda _: OPTIONS_OF_THE_SERVER)
        return Endpoint(method, "(none)", lambda _: self._refuse(method, "(none)", NoSuchRoute(path)))

    def _not_allowed(self, method: str, methods: Mapping[str, Endpoint]) -> Endpoint:
        path = next(iter(methods.values())).path
        return Endpoint(method, path, lambda _: self._refuse(method, path, MethodNotAllowed(methods)))

    def endpoints(self) -> list[Endpoint]:
        """All of them."""
        groups = [*self._exact.values(), *(each.methods for many in self._patterns.values() for each in many)]
        return [endpoint for methods in groups for endpoint in methods.values()]

"""How pages reach the services: by their HTTP API, over a socket or through the routes of this process."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from cludale.web.client import Client, NoAnswer
from cludale.web.http1 import Target
from cludale.web.responses import Response, Stream
from cludale.web.router import Found
from cludale.web.routing import Request
from cludale.web.trust import trust_named_in

CONNECTIONS = 64
TIMEOUT_SECONDS = 15.0
PASSED_ON = (b"x-forwarded-for", b"traceparent")
"""Headers of a person's request that go on to the API: requests are counted by the person's address."""

T = TypeVar("T")


class Answer(NamedTuple):
    """What the API said."""

    status: int
    body: bytes
    tag: str | None = None
    """Its `ETag`: what a change wants as `If-Match`."""
    quota: "Quota | None" = None
    """What is left of the requests that may be made; None where they are not limited."""

    def read(self, type: type[T]) -> T:
        """The body. Raises Unreachable for one that is something else."""
        try:
            return msgspec.json.decode(self.body, type=type)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Unreachable(f"the API answered {self.status} with something else: {error}") from error

    @property
    def problem(self) -> "Problem":
        """Why it refused."""
        try:
            said = msgspec.json.decode(self.body, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            said = {}
        return Problem(self.status, str(said.get("type", "")).rpartition("/")[2], str(said.get("detail", "")), said)


class Quota(NamedTuple):
    """How many requests may be made, as the API says it in `RateLimit` and `RateLimit-Policy`."""

    left: int
    reset_seconds: int
    most: int
    window_seconds: int

    @classmethod
    def of(cls, quota: str, policy: str) -> "Quota | None":
        """As the header fields say; None where they don't say it so."""
        try:
            said = [_parameters(each) for each in (quota, policy)]
            return cls(said[0]["r"], said[0]["t"], said[1]["q"], said[1]["w"])
        except (ValueError, KeyError):
            return None


def _parameters(field: str) -> dict[str, int]:
    """Those of a structured field's only item, `"key";r=12;t=30`."""
    return {name.strip(): int(number) for name, _, number in (each.partition("=") for each in field.split(";")[1:])}


class Problem(NamedTuple):
    """A refusal of the API, as problem+json says it."""

    status: int
    name: str
    """Stable: `seats-unavailable`."""
    detail: str
    values: Mapping[str, Any]

    @property
    def errors(self) -> list[tuple[str, str]]:
        """What is wrong with single fields: the field, and why. Empty where it is about none."""
        said = self.values.get("errors")
        errors = said if isinstance(said, list) else []
        return [(str(each.get("field", "")), str(each.get("message", ""))) for each in errors if isinstance(each, dict)]


class Refused(Exception):
    """The API refused, and no page has words of its own for it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.name)
        self.problem = problem


class Unreachable(Exception):
    """The API gave no answer, or none of ours."""


class Api(Protocol):
    """The services."""

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] = {},
        caller: Request | None = None,
    ) -> Answer:
        """The answer, whatever its status. `caller` is the person's request that it is for. Raises Unreachable."""
        ...

    async def file(self, path: str, *, headers: Mapping[str, str], caller: Request) -> Answer | Stream:
        """A file, as it comes if it can; else whole. Raises Unreachable."""
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...


def path(*segments: str, **query: Any) -> str:
    """A path of the API: `path("concerts", id)`; what is None is left out of the query."""
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    return "".join(f"/{quote(each, safe='')}" for each in segments) + (f"?{asked}" if asked else "")


class OverHttp:
    """The services behind their gateway at `url`."""

    def __init__(self, url: str) -> None:
        """The address may say whom to trust there (web/trust.py). Raises OSError, ssl.SSLError."""
        trust = trust_named_in(url)
        self._client = Client(Target.of(url), connections=CONNECTIONS, timeout_seconds=TIMEOUT_SECONDS, trust=trust)

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] = {},
        caller: Request | None = None,
    ) -> Answer:
        """The answer, whatever its status. Raises Unreachable."""
        sent = dict(headers or {})
        if caller is not None:
            sent |= {
                name.decode(): caller.headers[name].decode("latin-1") for name in PASSED_ON if name in caller.headers
            }
            known = sent.get("x-forwarded-for")
            sent["x-forwarded-for"] = f"{known}, {caller.peer}" if known else caller.peer
        repeatable = method == "GET" or "idempotency-key" in sent
        try:
            said = await self._client.ask(method, path, body, headers=sent, repeatable=repeatable)
        except NoAnswer as error:
            raise Unreachable(str(error)) from error
        return Answer(said.status, said.body, said.tag, None if said.quota is None else Quota.of(*said.quota))

    async def file(self, path: str, *, headers: Mapping[str, str], caller: Request) -> Answer | Stream:
        """A file, whole. Raises Unreachable, for one that is too large, too."""
        return await self.ask("GET", path, headers=headers, caller=caller)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class InProcess:
    """The same routes in this process: what they check, count and limit is the same as over a socket."""

    def __init__(self) -> None:
        self.find: Callable[[bytes, bytes], Found] | None = None
        """The app's router; set once there is one."""

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] = {},
        caller: Request | None = None,
    ) -> Answer:
        """The answer, whatever its status. Raises Unreachable."""
        response = await self._response(method, path, body, headers=headers, caller=caller)
        if not isinstance(response, Response):
            raise Unreachable("a stream is no answer")
        said = dict(response.headers)
        quota = Quota.of(said["ratelimit"], said["ratelimit-policy"]) if "ratelimit" in said else None
        return Answer(response.status, response.body, said.get("etag"), quota)

    async def file(self, path: str, *, headers: Mapping[str, str], caller: Request) -> Answer | Stream:
        """A file, as it comes. Raises Unreachable."""
        response = await self._response("GET", path, b"", headers=headers, caller=caller)
        return response if isinstance(response, Stream) else Answer(response.status, response.body)

    async def _response(
        self, method: str, path: str, body: bytes, *, headers: Mapping[str, str], caller: Request | None
    ) -> Response | Stream:
        if self.find is None:
            raise Unreachable("not started")
        sent = {name.encode(): value.encode("latin-1") for name, value in (headers or {}).items()}
        if caller is not None:
            sent |= {name: caller.headers[name] for name in PASSED_ON if name in caller.headers}
        if body:
            sent[b"content-type"] = b"application/json"
        found = self.find(method.encode(), path.encode("latin-1"))
        # What nobody asked for by name is counted by what is asked: requests may be limited by address.
        peer = f"pages {path[:100]}" if caller is None else caller.peer
        said = found.endpoint.handle(Request(found.segment, sent, body, found.query, peer))
        return await said if inspect.isawaitable(said) else said

    async def close(self) -> None:
        """Nothing is open."""

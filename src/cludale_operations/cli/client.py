"""The command line's way to a running server."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Self
from urllib.parse import quote

import typer

from cludale.wiring.settings import Settings
from cludale_operations.cli.screen import NO, fail, note
from cludale_operations.own_server import own_trust, own_url
from cludale_operations.trust import trust_at

if TYPE_CHECKING:
    import httpx

    from cludale_operations.offline_door.device import Reply

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

TIMEOUT_SECONDS = 30.0
ASK_SECONDS = 3.0
"""How long a door waits for an answer before it decides by itself."""
PAGE = 200

Parameters = Mapping[str, str | int | None]


class Client:
    """Sends requests to a server, with the organizer's key if there is one."""

    def __init__(self, url: str | None) -> None:
        import httpx  # not with the module: `cludale serve` has no use for it

        settings = Settings.from_env(os.environ)
        self.url = (url or own_url(settings)).rstrip("/")
        key = settings.organizer_key or _kept_key(settings.data_dir / "organizer.key")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        try:
            self._http = httpx.Client(
                base_url=self.url,
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                verify=trust_at(self.url, own_trust(self.url, settings)),
            )
        except httpx.InvalidURL as error:
            fail(f"{self.url!r} is no address of a server: {error}. Write http://127.0.0.1:8080.")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get(self, path: str, parameters: Parameters | None = None, *, token: str | None = None) -> Any:
        """The answer to GET, asked with an order's `token` if one is given; ends the program with one line if there is
        none.
        """
        wanted = {name: value for name, value in (parameters or {}).items() if value is not None}
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return self._answer("GET", path, params=wanted, headers=headers)

    def long(self, path: str, parameters: Parameters) -> Any:
        """The answer to GET where all orders are read for it: it is waited for, however long that takes."""
        import httpx

        wanted = {name: value for name, value in parameters.items() if value is not None}
        return self._answer("GET", path, params=wanted, timeout=httpx.Timeout(TIMEOUT_SECONDS, read=None))

    def get_if_there(self, path: str) -> Any | None:
        """The answer to GET, None for a 404; ends the program with one line if there is neither."""
        return self._answer("GET", path, is_optional=True)

    def post(self, path: str, body: Mapping[str, Any] | None, *, key: str | None = None) -> Any:
        """The answer to POST, with this Idempotency-Key; ends the program with one line if there is none."""
        headers = {} if key is None else {"idempotency-key": key}
        if body is None:
            return self._answer("POST", path, headers=headers)
        given = {name: value for name, value in body.items() if value is not None}
        return self._answer("POST", path, json=given, headers=headers)

    def tagged(self, path: str) -> tuple[Any, str]:
        """The answer to GET, and its ETag; ends the program with one line if there is none."""
        answer = self._response_to("GET", path)
        return self._content(answer), answer.headers.get("etag", "*")

    def patch(self, path: str, body: Mapping[str, Any], *, tag: str | None = None) -> Any:
        """The answer to PATCH, of what had this ETag; ends the program with one line if there is none."""
        return self._answer("PATCH", path, json=body, headers={} if tag is None else {"if-match": tag})

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to PUT; ends the program with one line if there is none."""
        return self._answer("PUT", path, json=body)

    def delete(self, path: str) -> Any:
        """The answer to DELETE; ends the program with one line if there is none."""
        return self._answer("DELETE", path)

    def items(self, path: str, parameters: Parameters, *, limit: int) -> Iterator[Any]:
        """Up to `limit` items of a collection, over as many pages as that takes."""
        after: str | None = None
        while limit > 0:
            page = self.get(path, {**parameters, "limit": min(limit, PAGE), "after": after})
            yield from page["items"]
            limit -= len(page["items"])
            after = page["next"]
            if after is None:
                return

    def download(self, path: str) -> bytes:
        """The bytes that GET answers with; ends the program with one line if there are none."""
        answer = self._response_to("GET", path)
        if answer.is_error:
            self._content(answer)
        return answer.content

    def streamed(self, path: str, parameters: Parameters) -> Iterator[bytes]:
        """The bytes that GET answers with, as they come, however long that takes; ends the program with one line if
        there are none, or if they end before their end.
        """
        import httpx

        wanted = {name: value for name, value in parameters.items() if value is not None}
        timeout = httpx.Timeout(TIMEOUT_SECONDS, read=None)
        try:
            answer = self._http.send(self._http.build_request("GET", path, params=wanted, timeout=timeout), stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._no_answer(error)
        try:
            if answer.is_error:
                answer.read()
                self._content(answer)
            yield from answer.iter_bytes()
        except httpx.HTTPError as error:
            fail(f"{self.url} broke off before the end ({error}): what came is not whole", NO)
        finally:
            answer.close()

    def _no_answer(self, error: Exception) -> NoReturn:
        fail(f"no answer from {self.url} ({error}). Start a server with `cludale serve`, or name one with --url.")

    def post_until_answered(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to POST, asked for again each second while the server is away or busy; says so once.

        For a request that may come twice. Ends the program with one line for any other refusal.
        """
        import httpx

        wanted = {name: value for name, value in body.items() if value is not None}
        is_said = False
        while True:
            try:
                answer = self._http.post(path, json=wanted)
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    return self._content(answer)
            except httpx.HTTPError:
                pass
            if not is_said:
                note(f"no answer from {self.url}: asking again each second")
                is_said = True
            time.sleep(1.0)

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, tag: str | None = None
    ) -> "Reply | None":
        """The answer as it is, within seconds; None: there is none, or the server is busy."""
        import httpx

        from cludale_operations.offline_door.device import Reply

        headers = {} if tag is None else {"if-none-match": tag}
        try:
            answer = self._http.request(method, path, json=body, headers=headers, timeout=ASK_SECONDS)
        except httpx.HTTPError:
            return None
        if answer.status_code in (429, *range(500, 600)):
            return None
        return Reply(answer.status_code, answer.content, answer.headers.get("etag"))

    def _answer(self, method: str, path: str, *, is_optional: bool = False, **request: Any) -> Any:
        return self._content(self._response_to(method, path, **request), is_optional=is_optional)

    def _response_to(self, method: str, path: str, **request: Any) -> "httpx.Response":
        import httpx

        try:
            return self._http.request(method, path, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._no_answer(error)

    def _content(self, answer: "httpx.Response", *, is_optional: bool = False) -> Any:
        if answer.status_code == 401:
            fail(
                "the server does not take this organizer key: set CLUDALE_ORGANIZER_KEY, or CLUDALE_DATA_DIR to the "
                "server's data folder",
                NO,
            )
        try:
            content = answer.json()
        except ValueError:
            fail(f"{self.url} answered {answer.status_code}, and no JSON: is that a Cludale server?")
        if answer.status_code == 404 and is_optional:
            return None
        if answer.is_error:
            name = str(content.get("type", "")).rpartition("/")[2] or answer.status_code
            fail(f"{name}: {content.get('detail', answer.text)}", NO)
        return content


def _opened(context: typer.Context, url: str) -> Client:
    """The way to the server that the option names, until the command ends."""
    client = Client(url or None)
    context.call_on_close(client.close)
    return client


_URL = {"envvar": "CLUDALE_URL", "help": "The server. Default: the one in the settings."}
Url = Annotated[str | None, typer.Option("--url", **_URL)]
Server = Annotated[
    Client, typer.Option("--url", parser=str, callback=_opened, metavar="TEXT", show_default=False, **_URL)
]
OWN: Any = ""
"""The default of `Server`."""


def segment(id: str) -> str:
    """An id as a part of a path that can't lead elsewhere; ends the program with one line for what is no id."""
    if id in ("", ".", ".."):
        fail(f"{id!r} is no id")
    return quote(id, safe="")


def _kept_key(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None  # another user's or another machine's; what needs the key says so when it is refused

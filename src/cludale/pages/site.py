"""What every page is made with: the language of who asks, the template, the headers, the words for an error."""

import gzip
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cludale.pages import forms, languages
from cludale.pages.api import Answer, Api, Refused, Unreachable
from cludale.pages.assets import Assets
from cludale.pages.forms import FormRefused
from cludale.pages.languages import Language
from cludale.web.responses import HTML, Headers, Response, Stream
from cludale.web.routing import Request, Route

_log = logging.getLogger(__name__)

TEMPLATES = Path(__file__).parent / "templates"
SECURITY: Headers = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; worker-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(self), geolocation=(), microphone=(), payment=()"),
)
"""`camera` is for the door's scanner; nothing that a page needs comes from elsewhere."""
NO_STORE = ("cache-control", "no-store")
VARY = ("vary", "Accept-Language, Cookie, Accept-Encoding")
PACKED_BYTES = 500
"""Less isn't worth packing."""
GZIP = ("content-encoding", "gzip")


class Visit(NamedTuple):
    """One request of a person: what they read, and what they asked."""

    request: Request
    language: Language
    query: Mapping[str, str]
    cookies: Mapping[str, str]
    area: str = "shop"
    """Whom the page is for: buyers (`shop`), the `staff` at the desk, or the `door`. Errors are worded for them."""

    @property
    def segment(self) -> str:
        """What the path has in place of `{…}`."""
        return self.request.segment

    @property
    def secure(self) -> bool:
        """Did they come by HTTPS?"""
        return forms.is_secure(self.request)

    @property
    def gzips(self) -> bool:
        """Does their browser take gzip?"""
        return b"gzip" in self.request.headers.get(b"accept-encoding", b"")

    def gettext(self, text: str, **values: Any) -> str:
        """`text` in their language."""
        return self.language.words.gettext(text) % values if values else self.language.words.gettext(text)


Page = Callable[[Visit], Awaitable[Response | Stream]]


class Missing(Exception):
    """There is no such page, or it isn't this person's."""


def checked(answer: Answer) -> Answer:
    """An answer that is one. Raises Missing for 404, Refused for other refusals."""
    if answer.status == 404:
        raise Missing
    if answer.status >= 400:
        raise Refused(answer.problem)
    return answer


class Site:
    """Templates, files and languages, over `api`."""

    def __init__(self, api: Api, *, now: Callable[[], datetime]) -> None:
        self.api = api
        self.now = now
        self.assets = Assets()
        self._environments: dict[str, Environment] = {}
        """By language, each from its first page on: to read all catalogues takes a tenth of a server's start."""

    def _environment(self, language: Language) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n"],
        )
        environment.policies["ext.i18n.trimmed"] = True
        environment.install_gettext_translations(language.words, newstyle=True)  # type: ignore[attr-defined]
        environment.filters |= {
            "money": language.money,
            "number": language.number,
            "day": language.day,
            "hour": language.hour,
            "percent": language.percent,
            "when": language.when,
            "moment": language.moment,
        }
        environment.globals |= {
            "asset": self.assets.url,
            "language": language,
            "languages": languages.NAMES,
        }
        return environment

    async def ask(
        self,
        visit: Visit,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """The API's answer for who visits, whatever its status; `token`: what opens it. Raises Unreachable."""
        sent = b"" if body is None else msgspec.json.encode(body)
        own = {} if token is None else {"authorization": f"Bearer {token}"}
        return await self.api.ask(method, path, sent, headers={**own, **headers}, caller=visit.request)

    # Routes

    def route(
        self,
        method: str,
        path: str,
        page: Page,
        *,
        most_bytes: int | None = None,
        ready: Callable[[Request], Response | None] | None = None,
    ) -> Route:
        """A route that answers with `page`, and with a page for whatever goes wrong; `most_bytes`: of a large form.
        `ready` has answers for everybody that are there already.
        """
        first = path.split("/")[1]
        area = first if first in ("staff", "door") else "shop"

        async def handle(request: Request) -> Response | Stream:
            visit = visit_of(request)._replace(area=area)
            try:
                return await page(visit)
            except Missing:
                return self.error(visit, 404, "missing")
            except FormRefused:
                return self.error(visit, 403, "form")
            except Unreachable as error:
                _log.warning("a page could not be made: %s", error)
                return self.error(visit, 503, "away")
            except Refused as refused:
                return self.refusal(visit, refused)

        return Route(
            method=method,
            path=path,
            handle=handle,
            reads_body=method == "POST",
            max_body_bytes=most_bytes,
            ready=ready,
        )

    def routes(self) -> list[Route]:
        """The routes of the static files."""
        return [Route(method="GET", path="/shop/static/{name}", handle=self._asset)]

    async def _asset(self, request: Request) -> Response:
        gzipped = b"gzip" in request.headers.get(b"accept-encoding", b"")
        found = self.assets.response(request.segment, gzipped=gzipped)
        return found or self.error(visit_of(request), 404, "missing")

    # Pages

    def html(self, visit: Visit, template: str, **values: Any) -> bytes:
        """The template, filled in."""
        language = visit.language
        if (environment := self._environments.get(language.code)) is None:
            environment = self._environments[language.code] = self._environment(language)
        made = environment.get_template(template)
        return made.render(visit=visit, switch=_switch(visit), **values).encode()

    def public(self, visit: Visit, html: bytes, *, headers: Headers = (), status: int = 200) -> Response:
        """A page that is the same for everyone who reads this language: nobody's secrets in it, so it is compressed."""
        sent = (*SECURITY, VARY, *headers, *self._chosen(visit))
        if visit.gzips and len(html) > PACKED_BYTES:
            return Response(status, gzip.compress(html, 6, mtime=0), HTML, (*sent, GZIP))
        return Response(status, html, HTML, sent)

    def private(
        self, visit: Visit, template: str, *, status: int = 200, headers: Headers = (), **values: Any
    ) -> Response:
        """A person's own page, kept nowhere. Forms carry `csrf`; it is not compressed, so its length tells nothing."""
        seed, made = self.form_seed(visit)
        html = self.html(visit, template, csrf=forms.token(seed), **values)
        return Response(status, html, HTML, (*SECURITY, NO_STORE, *made, *headers, *self._chosen(visit)))

    def form_seed(self, visit: Visit) -> tuple[str, Headers]:
        """The person's form cookie, and the header that sets it where there is none yet."""
        seed = visit.cookies.get(forms.FORM_COOKIE, "")
        if len(seed) >= 20:
            return seed, ()
        seed = forms.new_seed()
        return seed, (forms.cookie(forms.FORM_COOKIE, seed, secure=visit.secure),)

    def see(self, visit: Visit, path: str, *, headers: Headers = ()) -> Response:
        """Redirect the browser to this path, which it asks for with GET."""
        return Response(303, b"", HTML, (("location", path), NO_STORE, *SECURITY, *headers, *self._chosen(visit)))

    def error(self, visit: Visit, status: int, what: str, **values: Any) -> Response:
        """A page that says what went wrong, and where to go on."""
        html = self.html(visit, "error.html", what=what, problem=values.get("problem"))
        again = (("retry-after", "2"),) if status == 503 else ()
        return Response(status, html, HTML, (*SECURITY, NO_STORE, *again))

    def refusal(self, visit: Visit, refused: Refused) -> Response:
        """A refusal of the API that no page foresaw."""
        problem = refused.problem
        what = {404: "missing", 429: "busy", 503: "away"}.get(problem.status, "refused")
        return self.error(visit, problem.status, what, problem=problem)

    def with_choice(self, visit: Visit, response: Response) -> Response:
        """A response that many share, with the language that this person chose."""
        chosen = self._chosen(visit)
        return response._replace(headers=(*response.headers, *chosen)) if chosen else response

    def base(self, visit: Visit) -> str:
        """This site's address, as the person reached it: `https://tickets.example`."""
        host = visit.request.header(b"host") or "localhost"
        return f"{'https' if visit.secure else 'http'}://{host}"

    def _chosen(self, visit: Visit) -> Headers:
        """A language that was asked for is kept."""
        asked = visit.query.get("lang")
        if asked is None or asked not in languages.NAMES or visit.cookies.get(languages.COOKIE) == asked:
            return ()
        return (forms.cookie(languages.COOKIE, asked, secure=visit.secure),)


def visit_of(request: Request) -> Visit:
    """Who asks, as far as a page knows."""
    query = _query(request.query)
    cookies = forms.cookies(request)
    language = languages.wanted(query.get("lang"), cookies.get(languages.COOKIE), request.header(b"accept-language"))
    return Visit(request, language, query, cookies)


@lru_cache(maxsize=512)
def _query(text: str) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(text, max_num_fields=forms.MAX_FIELDS, errors="replace"))
    except ValueError:
        return {}


def _switch(visit: Visit) -> Callable[[str], str]:
    """The query that shows the same page in another language."""

    def switch(code: str) -> str:
        return with_language({**visit.query, "lang": code})

    return switch


def with_language(query: Mapping[str, str]) -> str:
    """The query of a link to the same page; what opens an order is left out."""
    return "?" + urlencode({name: value for name, value in query.items() if name != "key"})

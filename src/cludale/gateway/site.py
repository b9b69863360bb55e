"""What the gateway knows of the services from their manifests: whose path is whose, and the pages about all of them."""

from collections.abc import Mapping
from typing import NamedTuple

from cludale import __version__
from cludale.compose.services import described
from cludale.gateway.problems import STATUS
from cludale.http.answers import Answer, json_answer
from cludale.http.problems import Problems
from cludale.services import NAMES
from cludale.web import pages
from cludale.web.app import WebApp

HTML = "text/html; charset=utf-8"
_PAGE_HEADERS = (
    ("content-security-policy", pages.CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
)


class Site(NamedTuple):
    """Everything that is known before the first request."""

    owners: Mapping[bytes, str]
    """The first segment of a path → the service whose it is."""
    pages: Mapping[bytes, Answer]
    """A whole path → what is there."""
    problems: Problems


class AmbiguousPaths(Exception):
    """Two services want the same paths."""


def surveyed() -> Site:
    """What the manifests say."""
    services = described()
    app = WebApp(services, is_ready=lambda: False, gauges=dict, max_body_bytes=1_024, version=__version__)
    owners: dict[bytes, str] = {}
    for service in services:
        for prefix in service.prefixes:
            owner = owners.setdefault(prefix.lstrip("/").encode(), service.name)
            if owner != service.name:
                raise AmbiguousPaths(f"{prefix}: {owner} and {service.name}")
    problems = Problems(*(service.manifest.statuses for service in services), STATUS)
    return Site(owners, _pages(list(NAMES), app.openapi_document(), problems), problems)


def _pages(names: list[str], openapi: bytes, problems: Problems) -> dict[bytes, Answer]:
    found = {
        b"/": Answer(200, pages.front_page(__version__, names), HTML, _PAGE_HEADERS),
        b"/docs": Answer(200, pages.docs_page(), HTML, _PAGE_HEADERS),
        b"/docs/start.js": Answer(200, pages.DOCS_SCRIPT, "text/javascript; charset=utf-8"),
        b"/openapi.json": Answer(200, openapi),
        b"/problems": Answer(200, pages.problem_list(problems.pages()), HTML, _PAGE_HEADERS),
        b"/livez": json_answer({"status": "ok"}),
    }
    for name, media_type in pages.ASSETS.items():
        found[f"/docs/{name}".encode()] = Answer(
            200, pages.asset(name), media_type, (("cache-control", "max-age=86400"),)
        )
    for problem in problems.pages():
        found[f"/problems/{problem.name}".encode()] = Answer(200, pages.problem_page(problem), HTML, _PAGE_HEADERS)
    return found

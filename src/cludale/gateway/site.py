"""What the gateway knows of the services from their manifests: whose path is whose, and the pages about all of them."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from cludale import __version__
from cludale.compose.platform import Platform
from cludale.gateway.problems import STATUS
from cludale.http.answers import Answer, json_answer
from cludale.http.problems import Problems
from cludale.settings import Settings
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


async def surveyed() -> Site:
    """Put the platform together over an empty store, for its manifests alone, and look at it."""
    with TemporaryDirectory(prefix="cludale-gateway-") as folder:
        platform = Platform(Settings(data_dir=Path(folder)))
        try:
            app = WebApp(
                platform.services, is_ready=lambda: False, gauges=dict, max_body_bytes=1_024, version=__version__
            )
            owners: dict[bytes, str] = {}
            for service in platform.services:
                for path in (path for handler in service.routes for path in handler.paths):
                    segment = path.lstrip("/").partition("/")[0].encode()
                    if owners.setdefault(segment, service.name) != service.name:
                        raise AmbiguousPaths(f"/{segment.decode()}: {owners[segment]} and {service.name}")
            problems = Problems(*(service.statuses for service in platform.services), STATUS)
            names = [service.name for service in platform.services]
            return Site(owners, _pages(names, app.openapi_document(), problems), problems)
        finally:
            await platform.stop()


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

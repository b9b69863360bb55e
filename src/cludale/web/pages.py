"""The few pages for people: the front page, the API's documentation, what a problem means. All served from here."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path

from cludale.web.problems import ProblemPage
from cludale.web.responses import Headers, Response, kept

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""`data:` is for the pictures in Swagger UI's style. What it sets on an element by script no policy asks about."""
GUARDS: Headers = (
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)

JAVASCRIPT = "text/javascript; charset=utf-8"
CSS = "text/css; charset=utf-8"
ASSETS: Mapping[str, str] = {
    "swagger-ui.css": CSS,
    "swagger-ui-bundle.js": JAVASCRIPT,
    "favicon-32x32.png": "image/png",
}
"""Swagger UI's files and their media types."""

DOCS_SCRIPT = b"""\
window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#docs",
    deepLinking: true,
    displayRequestDuration: true,
    persistAuthorization: false,
    validatorUrl: null,
  });
};
"""

PAGE_STYLE = b"""\
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #1a1a2e }
h1 { line-height: 1.2 } a { color: #3d348b } code, pre { background: #f1f1f6; border-radius: .25rem }
code { padding: .1rem .3rem } pre { padding: .8rem; overflow-x: auto }
td, th { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0 }
"""

_STYLED = '<link rel="stylesheet" href="/docs/page.css">'


def page(html: bytes) -> Response:
    """A page as it is sent: nothing in it comes from elsewhere."""
    return kept(html, headers=GUARDS)


def asset(name: str) -> bytes:
    """A file of Swagger UI, from the package that ships it (which is not imported: it would want a web framework)."""
    spec = find_spec("flask_swagger_ui")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("flask-swagger-ui is not installed, so there is no Swagger UI")
    return (Path(spec.origin).parent / "dist" / name).read_bytes()


def _page(title: str, body: str, head: str = "") -> bytes:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="/docs/favicon-32x32.png">{head}</head><body>{body}</body></html>'
    ).encode()


def docs_page() -> bytes:
    """The API's documentation."""
    head = '<link rel="stylesheet" href="/docs/swagger-ui.css">'
    scripts = '<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script>'
    return _page("Cludale Tickets: API", f'<div id="docs"></div>{scripts}', head)


def front_page(version: str, services: Sequence[str]) -> bytes:
    """What is served here, and where to go next."""
    listed = ", ".join(escape(each) for each in services)
    body = f"""<h1>Cludale Tickets</h1>
<p>Concert tickets that are never oversold. Version {escape(version)}, serving {listed}.</p>
<table>
<tr><td><a href="/docs">/docs</a></td><td>the API, to read and to try</td></tr>
<tr><td><a href="/openapi.json">/openapi.json</a></td><td>the API for machines (OpenAPI 3.1)</td></tr>
<tr><td><a href="/concerts">/concerts</a></td><td>the concerts and their seats</td></tr>
<tr><td><a href="/problems">/problems</a></td><td>every error that may be answered, and what it means</td></tr>
<tr><td><a href="/metrics">/metrics</a></td><td>for Prometheus</td></tr>
<tr><td><a href="/readyz">/readyz</a>, <a href="/livez">/livez</a></td><td>for whoever watches the process</td></tr>
</table>"""
    return _page("Cludale Tickets", body, _STYLED)


def problem_page(problem: ProblemPage) -> bytes:
    """What one problem means."""
    meaning = "".join(f"<p>{_prose(part)}</p>" for part in problem.meaning.split("\n\n"))
    body = (
        f"<h1>{escape(problem.title)}</h1><p><code>/problems/{escape(problem.name)}</code>, status {problem.status}</p>"
        f'{meaning}<p><a href="/problems">All problems</a></p>'
    )
    return _page(problem.title, body, _STYLED)


def _prose(text: str) -> str:
    """A sentence as HTML; what stands in backticks is a name."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def problem_list(problems: Sequence[ProblemPage]) -> bytes:
    """Every problem."""
    rows = "".join(
        f'<tr><td><a href="/problems/{escape(each.name)}">{escape(each.name)}</a></td><td>{each.status}</td>'
        f"<td>{_prose(each.meaning.partition(chr(10))[0])}</td></tr>"
        for each in problems
    )
    return _page("Problems", f"<h1>Problems</h1><table>{rows}</table>", _STYLED)

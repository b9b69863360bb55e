"""The door page as an app: its service worker, which knows the files that it needs, and its manifest. No I/O."""

import hashlib
from pathlib import Path

import msgspec

from cludale.pages.assets import Assets
from cludale.pages.site import SECURITY
from cludale.web.responses import Response

PATH = "/door"
FILES = ("site.css", "door.css", "door-ticket.js", "door-journal.js", "door.js", "icon.svg")
_CODE = Path(__file__).with_name("worker.js")
_FRESH = ("cache-control", "no-cache")
COLOUR = "#4b2fb3"


def worker(assets: Assets) -> Response:
    """The script. Another one wherever one of the files is, so that a browser loads them all anew."""
    files = [assets.url(each) for each in FILES]
    code = _CODE.read_text(encoding="utf-8")
    version = hashlib.sha256("\n".join((*files, code)).encode()).hexdigest()[:12]
    head = f"const VERSION = {msgspec.json.encode(version).decode()}, FILES = {msgspec.json.encode(files).decode()};\n"
    headers = (*SECURITY, _FRESH, ("service-worker-allowed", PATH))
    return Response(200, (head + code).encode(), "text/javascript; charset=utf-8", headers)


def manifest(assets: Assets) -> Response:
    """What a phone needs to put the page among its apps."""
    icons = [
        {"src": assets.url("icon.svg"), "sizes": "any", "type": "image/svg+xml", "purpose": "any"},
        *(
            {"src": assets.url(f"door-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
            for size in (192, 512)
            for purpose in ("any", "maskable")
        ),
    ]
    body = msgspec.json.encode(
        {
            "id": PATH,
            "name": "Cludale Tickets: door",
            "short_name": "Door",
            "start_url": PATH,
            "scope": PATH,
            "display": "standalone",
            "background_color": COLOUR,
            "theme_color": COLOUR,
            "icons": icons,
        }
    )
    return Response(200, body, "application/manifest+json", (*SECURITY, _FRESH))

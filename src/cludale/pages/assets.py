"""Files that pages use: each under a name that its content makes, so a browser may keep it for good."""

import gzip
import hashlib
from pathlib import Path

from cludale.web.responses import Response

FOLDER = Path(__file__).parent / "static"
PREFIX = "/shop/static/"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
FOR_GOOD = ("cache-control", "public, max-age=31536000, immutable")
VARY = ("vary", "Accept-Encoding")
NOSNIFF = ("x-content-type-options", "nosniff")


class Assets:
    """The files of a folder, read and compressed once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._names: dict[str, str] = {}
        self._plain: dict[str, Response] = {}
        self._packed: dict[str, Response] = {}
        for file in sorted(folder.iterdir()):
            if file.suffix not in TYPES:
                continue
            content, type = file.read_bytes(), TYPES[file.suffix]
            name = f"{file.stem}.{hashlib.sha256(content).hexdigest()[:12]}{file.suffix}"
            self._names[file.name] = name
            headers = (FOR_GOOD, VARY, NOSNIFF)
            self._plain[name] = Response(200, content, type, headers)
            packed = gzip.compress(content, 9, mtime=0)
            self._packed[name] = Response(200, packed, type, (*headers, ("content-encoding", "gzip")))

    def url(self, file: str) -> str:
        """Where `file` is served. Raises KeyError."""
        return PREFIX + self._names[file]

    def response(self, name: str, *, gzipped: bool) -> Response | None:
        """The file that has this name with its content's mark; None if there is none."""
        return (self._packed if gzipped else self._plain).get(name)

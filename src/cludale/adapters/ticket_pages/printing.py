"""Makes PDF, SVG and PNG of tickets. Pure but for the fonts, which are read once a process.

typst refuses a PDF/UA with a letter that no font has, so such letters (an emoji in a name) are replaced first. The
fonts are those of packages: Noto Sans, and Noto Sans for Arabic, Hebrew, Devanagari, Bengali, Tamil and Telugu.
"""

import io
import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import segno
import typst
from fontTools.ttLib import TTFont  # type: ignore[import-untyped] # it has no types

from cludale.adapters.ticket_pages.template import TEMPLATE
from cludale.kernel.dates import is_day
from cludale.ports.ticket_pages import TicketPage

FAMILIES = (
    "Noto Sans",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Bengali",
    "Noto Sans Tamil",
    "Noto Sans Telugu",
)
_PACKAGES = ("fontpkg_noto_sans", "justmytype_intl_rtl", "justmytype_intl_south_asia")
_MISSING = "\N{REPLACEMENT CHARACTER}"
STANDARD: Final = "ua-1"
_MASK = 2
"""Any mask reads; to try all eight takes four times as long."""
BORDER_MODULES = 4
PNG_SCALE = 8


def pdf(pages: Sequence[TicketPage]) -> bytes:
    """A tagged document (PDF/UA-1) with one page a ticket."""
    try:
        return _compiled(compiler(), pages)
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):
            raise
        return _compiled(compiler(), [_drawable(page) for page in pages])


def svg(code: str) -> bytes:
    """The code as a drawing."""
    out = io.BytesIO()
    qr(code).save(out, kind="svg", border=BORDER_MODULES, xmldecl=False, svgclass=None, lineclass=None, omitsize=True)
    return out.getvalue()


def png(code: str) -> bytes:
    """The code as an image, 8 pixels a module."""
    out = io.BytesIO()
    qr(code).save(out, kind="png", border=BORDER_MODULES, scale=PNG_SCALE)
    return out.getvalue()


def qr(code: str) -> segno.QRCode:
    """The QR code, at level M."""
    return segno.make_qr(code, error="m", boost_error=False, mask=_MASK)


def _compiled(made_by: typst.Compiler, pages: Sequence[TicketPage]) -> bytes:
    issued = min(page.issued_at for page in pages).replace(microsecond=0)
    given: dict[str, Any] = {
        "title": ", ".join(filter(None, (pages[0].artist, pages[0].date and _when(pages[0].date)))),
        "issued": list(issued.timetuple()[:6]),
        "fonts": FAMILIES,
        "tickets": [_ticket(page) for page in pages],
    }
    made = made_by.compile(
        input=TEMPLATE.encode(),
        format="pdf",
        sys_inputs={"tickets": json.dumps(given)},
        pdf_standards=[STANDARD],
        timestamp=issued,
    )
    if not isinstance(made, bytes):
        raise TypeError("typst made no document")
    return made


def _ticket(page: TicketPage) -> dict[str, Any]:
    date = "Postponed; its new date is not known yet" if page.date is None else _when(page.date)
    times = {"date": date, "doors": None if page.doors_at is None else _when(page.doors_at)}
    return {**{name: getattr(page, name) for name in _SHOWN}, **times, "svg": svg(page.code).decode()}


_SHOWN = ("id", "artist", "title", "venue", "section", "number", "quantity", "holder")


def _when(written: str) -> str:
    """A day, or a time with its offset, as people read it: `Saturday, 5 June 2027, 19:30 (UTC+02:00)`."""
    at = datetime.fromisoformat(written)
    day = f"{at:%A}, {at.day} {at:%B} {at.year}"
    return day if is_day(written) else f"{day}, {at:%H:%M} ({at.tzname()})"


@cache
def compiler() -> typst.Compiler:
    """One for the life of the process: it keeps the fonts."""
    folders = sorted({str(path.parent) for path in _fonts()})
    return typst.Compiler(font_paths=folders, ignore_system_fonts=True)


@cache
def _fonts() -> tuple[Path, ...]:
    found: list[Path] = []
    for package in _PACKAGES:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(package)
        found += sorted(path for path in Path(spec.origin).parent.rglob("*.ttf") if "Italic" not in path.name)
    return tuple(found)


@cache
def _letters() -> frozenset[int]:
    """All that a font has. Read when first a letter is missing: it takes a second."""
    known: set[int] = set()
    for path in _fonts():
        with TTFont(path, lazy=True) as font:
            known.update(font.getBestCmap())
    return frozenset(known)


def _drawable(page: TicketPage) -> TicketPage:
    """The same page, its letters that no font has replaced."""
    return page._replace(
        artist=with_known(page.artist),
        title=None if page.title is None else with_known(page.title),
        venue=None if page.venue is None else with_known(page.venue),
        section=with_known(page.section),
        holder=None if page.holder is None else with_known(page.holder),
    )


def with_known(text: str) -> str:
    """The text, its letters that no font has replaced."""
    known = _letters()
    # what joins or changes letters is drawn with them, or not at all
    return "".join(each if ord(each) in known else _MISSING for each in text if each not in "\u200d\ufe0f")

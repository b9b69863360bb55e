"""A button for an organizer's own site: a picture within a link, which needs no script of ours there. Pure."""

from html import escape

from cludale.pages.shop.availability import Sale

_WIDE_LETTER = 9.6
"""Pixels a letter, on average, in the widest of the words that are used here."""


def picture(words: str, sale: Sale) -> bytes:
    """An SVG 44 pixels high; in colour while there is something to buy."""
    width = round(48 + _WIDE_LETTER * len(words))
    fill, ink = ("#4b3fae", "#fff") if sale is Sale.OPEN else ("#e7e5f1", "#3a3654")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="44" viewBox="0 0 {width} 44" role="img">'
        f'<title>{escape(words)}</title><rect width="{width}" height="44" rx="8" fill="{fill}"/>'
        f'<text x="{width / 2:g}" y="28" font-family="system-ui,sans-serif" font-size="17" font-weight="600" '
        f'text-anchor="middle" fill="{ink}">{escape(words)}</text></svg>'
    ).encode()


def snippet(url: str, artist: str, language: str) -> str:
    """HTML to put into a page. Where the picture isn't loaded it is a link with these words."""
    words = escape(artist, quote=True)
    at = escape(url)
    image = f'<img src="{at}/button.svg?lang={language}" alt="{words}" height="44">'
    return f'<a href="{at}?lang={language}">{image}</a>'

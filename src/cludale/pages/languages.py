"""The languages of the pages: which one a person reads, and the pages' words in it."""

from functools import lru_cache
from pathlib import Path

from cludale.kernel.languages import DEFAULT, NAMES, accepted
from cludale.runtime.languages import Language

__all__ = ["COOKIE", "FOLDER", "NAMES", "Language", "language", "wanted"]

FOLDER = Path(__file__).parent / "locale"
COOKIE = "language"


@lru_cache
def language(code: str) -> Language:
    """One of NAMES. Raises KeyError."""
    return Language(code, FOLDER)


def wanted(asked: str | None, cookie: str | None, accept: str | None) -> Language:
    """What the address asks for, else what was chosen before, else what the browser says, else English."""
    for code in (asked, cookie):
        if code in NAMES:
            return language(code)
    return language(accepted(accept or "") or DEFAULT)

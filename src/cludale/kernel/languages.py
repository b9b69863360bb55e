"""The languages that buyers are spoken to in, and which one somebody reads. No words; those are in catalogues."""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache


class LanguageCode(StrEnum):
    """A language by its code of ISO 639-1."""

    EN = "en"
    DE = "de"
    FR = "fr"
    ES = "es"


NAMES: Mapping[str, str] = {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español"}
"""The languages that there are; the first is for people who read none of them."""
DEFAULT = next(iter(NAMES))


@lru_cache(maxsize=256)
def accepted(header: str) -> str | None:
    """The best of an Accept-Language header (RFC 9110, section 12.5.4); None where it names none of them."""
    best, quality = None, 0.0
    for each in header.split(",")[:20]:
        tag, _, parameter = each.strip().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        code = of_tag(tag)
        if code is not None and weight > quality:
            best, quality = code, weight
    return best


def of_tag(tag: str) -> str | None:
    """The language of a tag (BCP 47) like `de-AT`, if it is one of them."""
    code = tag.strip().lower().partition("-")[0]
    return code if code in NAMES else None

"""Style sheets: a page loads `site.css` and maybe one more, so a class that both style alone means two things there."""

import re
from pathlib import Path

import pytest

from cludale.pages import assets

STATIC = Path(assets.__file__).parent / "static"
RULE = re.compile(r"(?:^|[{}])\s*([^{}@]+)\{")


def alone(sheet: str) -> set[str]:
    """The classes that are all of a rule's selector: `.bar{…}`."""
    selectors = (each for rule in RULE.findall((STATIC / sheet).read_text()) for each in rule.split(","))
    return {each.strip() for each in selectors if re.fullmatch(r"\s*\.[\w-]+\s*", each)}


@pytest.mark.parametrize("sheet", ["console.css", "door.css"])
def test_a_class_is_styled_by_one_sheet(sheet: str) -> None:
    assert ".spark" in alone("console.css")
    assert alone(sheet) & alone("site.css") == set()

"""The pages' words: all of them in every language."""

from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from cludale.pages.languages import FOLDER, NAMES, language, wanted

PAGES = Path(FOLDER).parent


@pytest.mark.parametrize("code", [each for each in NAMES if each != "en"])
def test_every_text_of_a_template_is_there_in_every_language(code: str) -> None:
    rules, options = [("templates/**.html", "jinja2")], {"templates/**.html": {"trimmed": "true"}}
    said = {str(each[2]) for each in extract_from_dir(str(PAGES), rules, options)}
    with (FOLDER / f"{code}.po").open("rb") as file:
        known = {str(each.id): str(each.string) for each in read_po(file, locale=code) if each.id}
    assert said - known.keys() == set()
    assert known.keys() - said == set()
    assert [id for id, text in known.items() if not text] == []
    for id, text in known.items():
        assert id.count("%(") == text.count("%("), id


def test_the_language_is_the_one_that_is_asked_for_then_kept_then_accepted() -> None:
    assert wanted("de", "fr", "es").code == "de"
    assert wanted(None, "fr", "es").code == "fr"
    assert wanted(None, None, "pt, es;q=0.8, de;q=0.9").code == "de"
    assert wanted("xx", "yy", "zz;q=huh").code == "en"


def test_a_time_says_its_zone() -> None:
    assert language("de").day("2027-06-05T19:30:00+02:00") == "Samstag, 5. Juni 2027"
    assert language("en").hour("2027-06-05T19:30:00+02:00") == "19:30"
    assert language("en").hour("2027-06-05") == ""

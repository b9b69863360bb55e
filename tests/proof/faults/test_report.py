"""The page of figures: tables between markers are made anew, what is written by hand stays."""

import re
import sys
from pathlib import Path

import pytest
from tools.reliability.__main__ import SUITES, LeftOut, Options, Section, run
from tools.reliability.figures import Done, Kept, Row, Rows
from tools.reliability.page import filled

ROOT = Path(__file__).parents[3]
DONE = Done(date="2026-11-22T12:00:00+00:00", commit="abc1234", scale="full", seed=7, minutes=1.5)


def kept(*rows: Row) -> Kept:
    return Kept({}, {"crash": Rows(DONE, list(rows))})


PAGE = """# By hand
<!-- figures: crashes -->
old
<!-- end -->
more by hand
<!-- figures: provenance -->
<!-- end -->
"""


def test_tables_are_filled_and_what_was_written_by_hand_stays() -> None:
    page = filled(PAGE, kept(Row("crashes", {"how": "SIGKILL", "deaths": 1200, "lost": 0})))
    assert "| how | deaths | of those lost |\n| --- | ---: | ---: |\n| SIGKILL | 1,200 | 0 |\n" in page
    assert "abc1234" in page
    assert "--seed 7" in page
    assert page.startswith("# By hand\n")
    assert "\nmore by hand\n" in page
    assert "old" not in page


def test_filling_a_page_again_changes_nothing() -> None:
    figures = kept(Row("crashes", {"how": "SIGKILL", "deaths": 1, "lost": 0}))
    assert filled(filled(PAGE, figures), figures) == filled(PAGE, figures)


def test_a_table_without_figures_says_so() -> None:
    assert "Nothing yet." in filled(PAGE, Kept({}, {}))


def test_a_fault_that_several_tests_make_is_one_row() -> None:
    rows = [Row("faults", {"fault": "SIGKILL", "fired": times}) for times in (2, 3)]
    assert "| SIGKILL | 5 |" in filled("<!-- figures: faults -->\n<!-- end -->\n", kept(*rows))


def test_every_file_of_fault_tests_is_a_section_and_every_table_is_on_the_page() -> None:
    page = (ROOT / "docs/evidence/reliability.md").read_text()
    for file in sorted((ROOT / "tests/proof/faults").glob("test_*.py")):
        tables = set(re.findall(r'figures\.row\(\s*"([^"]+)"', file.read_text()))
        assert not tables or file.stem.removeprefix("test_") in SUITES, file.name
        assert {table for table in tables if f"<!-- figures: {table} -->" not in page} == set()


def test_a_section_that_has_no_tests_at_a_scale_is_left_out_and_has_not_failed(tmp_path: Path) -> None:
    nothing = Section("nothing", lambda *_: (sys.executable, "-m", "pytest", "-q", str(tmp_path)), lambda _: [])
    with pytest.raises(LeftOut, match="left out at this scale"):
        run(nothing, Options("quick", 1, 1), lambda _: None, tmp_path / "log")

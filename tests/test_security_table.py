"""docs/evidence/security.md has each requirement of OWASP ASVS 5.0 (level 1 and 2) once, and names tests that exist."""

import re
from collections import Counter
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PAGE = (PROJECT / "docs/evidence/security.md").read_text()
ROW = re.compile(r"^\| (V[\d.]+) \| ([12]) \| ([^|]+) \| (met|not applicable|not met) \| (.*) \|$", re.MULTILINE)
WANTED = dict(
    line.split() for line in (PROJECT / "tests/asvs_5_0.txt").read_text().splitlines() if not line.startswith("#")
)


def test_each_requirement_is_there_once_with_its_level() -> None:
    assert len(WANTED) == 253
    found = Counter((id, level) for id, level, *_ in ROW.findall(PAGE))
    assert found == Counter(WANTED.items())


def test_what_is_met_names_a_test_and_all_else_a_reason() -> None:
    for id, _, _, stands, by in ROW.findall(PAGE):
        assert by.strip(), id
        assert stands != "met" or "`test_" in by, id


def test_every_test_that_is_named_exists() -> None:
    pages = [PAGE, (PROJECT / "SECURITY.md").read_text()]
    files = list((PROJECT / "tests").rglob("test_*.py"))
    there = {file.name for file in files}
    for file in files:
        there |= set(re.findall(r"def (test_\w+)\(", file.read_text()))
    named = {name for page in pages for name in re.findall(r"`(test_\w+(?:\.py)?)`", page)}
    assert len(named) > 100
    assert named <= there, sorted(named - there)


def test_the_counts_are_those_of_the_rows() -> None:
    stands = Counter(row[3] for row in ROW.findall(PAGE))
    said = f"{stands['met']} are met, {stands['not applicable']} do not apply, {stands['not met']} are not met"
    assert f"Of {sum(stands.values())} requirements {said}." in PAGE

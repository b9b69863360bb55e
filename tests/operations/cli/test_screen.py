"""What is printed: no terminal is confused by what was stored before names were checked, and amounts are read."""

import json

import pytest

from cludale_operations.cli.screen import fail, print_json, record, say, table

NAMES = ["a\u202eb", "a\u2028b", "a\x85b", "a\x9b31mb", "a\ufeffb", "a\x1b[31mb"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_no_way_to_print_a_name_prints_what_confuses_a_terminal(capsys: pytest.CaptureFixture[str], name: str) -> None:
    row = {"artist": name, "sections": [{"name": name}], name: 1}
    table([row], columns=("artist", "sections"), as_json=False)
    record(row, as_json=False)
    table([row], columns=("artist",), as_json=True)
    record(row, as_json=True)
    say(name)
    with pytest.raises(SystemExit):
        fail(name)
    printed, complained = capsys.readouterr()
    assert name[1] not in printed + complained
    assert printed.count(f"\\u{ord(name[1]):04x}") >= 8


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_json_reads_as_what_it_was(capsys: pytest.CaptureFixture[str], name: str) -> None:
    print_json({"artist": name})
    assert json.loads(capsys.readouterr().out) == {"artist": name}


def test_names_of_any_script_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    record({"artist": "Björk 李 \u05d0\u05d1"}, as_json=False)
    assert "Björk 李 \u05d0\u05d1" in capsys.readouterr().out


def test_amounts_of_a_bill_are_written_with_their_currency(capsys: pytest.CaptureFixture[str]) -> None:
    line = {"category": "adult", "quantity": 2, "price": 4_500, "total": 9_000}
    record({"bill": {"currency": "EUR", "lines": [line], "total": 9_000, "taxPercent": 19.0}}, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "quantity 2, price 45.00 EUR, total 90.00 EUR" in said
    assert said.endswith("total 90.00 EUR, taxPercent 19.0")

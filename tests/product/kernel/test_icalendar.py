"""Lines of iCalendar files, as a library reads them."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Event

from cludale.kernel.icalendar import content, text, when

TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")) | st.sampled_from("\n\\;,:\"'"), max_size=200)


@given(TEXTS)
def test_any_text_is_read_as_it_was_written_from_lines_of_at_most_75_bytes(written: str) -> None:
    made = content(("BEGIN:VEVENT", f"SUMMARY:{text(written)}", "END:VEVENT"))
    assert str(Event.from_ical(made)["SUMMARY"]) == written
    assert all(len(line) <= 75 for line in made.split(b"\r\n"))
    assert [line.decode() for line in made.split(b"\r\n")]  # none is cut within a character


@pytest.mark.parametrize("moment", [datetime(2027, 6, 5, 17, 30, tzinfo=UTC), date(2027, 6, 5)])
def test_times_and_days_are_read_as_they_were_written(moment: date) -> None:
    made = content(("BEGIN:VEVENT", when("DTSTART", moment), "END:VEVENT"))
    read: Any = Event.from_ical(made)
    assert read["DTSTART"].dt == moment


@pytest.mark.parametrize("broken", ["a\r\nb", "a\rb", "a\nb"])
def test_no_text_begins_a_line_of_its_own(broken: str) -> None:
    assert content((f"SUMMARY:{text(broken)}",)) == b"SUMMARY:a\\nb\r\n"

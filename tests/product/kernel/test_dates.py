"""When a concert is over, and when it is by the rules that its zone's clocks have today."""

from datetime import UTC, datetime

import pytest

from cludale.kernel import dates
from cludale.kernel.dates import by_todays_rules


@pytest.mark.parametrize(
    ("written", "zone", "there"),
    [
        ("2027-01-15T19:30:00-08:00", "America/Vancouver", "2027-01-15T20:30:00-07:00"),
        ("2027-01-15T19:30:00-07:00", "America/Vancouver", None),
        ("2026-10-25T02:30:00+01:00", "Europe/Berlin", None),
        ("2026-10-25T02:30:00+02:00", "Europe/Berlin", None),
        ("2027-01-15T19:30:00Z", "Europe/London", None),
        ("2027-01-15T19:30:00-08:00", None, None),
        ("2027-01-15", "America/Vancouver", None),
    ],
)
def test_a_time_whose_zone_has_other_rules_since_is_another_time_on_the_clocks_there(
    written: str, zone: str | None, there: str | None
) -> None:
    assert by_todays_rules(written, zone) == there


def test_a_concert_is_over_at_its_end_and_without_one_with_its_day_or_when_it_begins() -> None:
    assert dates.over("2027-06-05", None, "Europe/Vienna") == datetime(2027, 6, 5, 22, tzinfo=UTC)
    assert dates.over("2027-06-05T19:30:00Z", None) == datetime(2027, 6, 5, 19, 30, tzinfo=UTC)
    assert dates.over("2027-06-05T19:30:00-04:00", "2027-06-06") == datetime(2027, 6, 7, 4, tzinfo=UTC)

"""When a concert is, by the rules that its zone's clocks have today."""

import pytest

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

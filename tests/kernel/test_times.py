"""Times: UTC, text order is time order, holds end on whole seconds."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cludale.kernel.times import epoch_second, rfc3339, whole_second_after

MOMENTS = st.datetimes(timezones=st.just(UTC))
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@given(one=MOMENTS, other=MOMENTS)
def test_text_order_is_time_order(one: datetime, other: datetime) -> None:
    assert (rfc3339(one) < rfc3339(other)) == (one < other)


@given(moment=MOMENTS)
def test_a_time_written_is_the_time_read(moment: datetime) -> None:
    assert len(rfc3339(moment)) == 27
    assert msgspec.convert(rfc3339(moment), datetime) == moment


def test_a_time_elsewhere_is_written_in_utc() -> None:
    assert rfc3339(datetime(2026, 11, 22, 13, tzinfo=timezone(timedelta(hours=1)))) == "2026-11-22T12:00:00.000000Z"


def test_a_hold_ends_on_a_whole_second_and_never_early() -> None:
    assert whole_second_after(NOON, 600) == NOON + timedelta(seconds=600)
    assert whole_second_after(NOON + timedelta(microseconds=1), 600) == NOON + timedelta(seconds=601)
    assert whole_second_after(NOON, 0.5) == NOON + timedelta(seconds=1)


@given(moment=MOMENTS.filter(lambda m: m.year < 9000), seconds=st.floats(0.001, 1e6))
def test_a_hold_is_as_long_as_promised_and_less_than_a_second_longer(moment: datetime, seconds: float) -> None:
    end = whole_second_after(moment, seconds)
    assert end.microsecond == 0
    assert timedelta() <= end - (moment + timedelta(seconds=seconds)) < timedelta(seconds=1)


def test_seconds_since_1970_are_whole() -> None:
    assert epoch_second(datetime(1970, 1, 1, 0, 1, tzinfo=UTC)) == 60
    assert epoch_second(NOON + timedelta(microseconds=999_999)) == epoch_second(NOON)

"""Times: UTC, text order is time order, holds end on whole seconds."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cludale.kernel.times import (
    check_date_or_time,
    epoch_second,
    parse_date,
    parse_time,
    rfc3339,
    whole_second_after,
)

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


READ = {
    "2027-06-05T19:30:00Z": "2027-06-05T19:30:00.000000Z",
    "2027-06-05t19:30:00z": "2027-06-05T19:30:00.000000Z",
    "2027-06-05T19:30:00.5+02:00": "2027-06-05T17:30:00.500000Z",
    "2027-06-05T22:30:00-04:00": "2027-06-06T02:30:00.000000Z",
    "2027-06-05T19:30:00-00:00": "2027-06-05T19:30:00.000000Z",
    "2027-06-05T00:00:00+23:59": "2027-06-04T00:01:00.000000Z",
    "2026-12-31T23:59:59.9999999Z": "2026-12-31T23:59:59.999999Z",
    "2026-12-31T23:59:59.999999999Z": "2026-12-31T23:59:59.999999Z",
    "2026-12-31T23:59:59." + "9" * 30 + "Z": "2026-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59.9999999Z": "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59.9999999+00:00": "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00Z": "0001-01-01T00:00:00.000000Z",
    "0001-01-01T14:00:00+14:00": "0001-01-01T00:00:00.000000Z",
    "2016-12-31T23:59:60Z": "2016-12-31T23:59:59.999999Z",
    "2017-01-01T00:59:60.7+01:00": "2016-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:60Z": "9999-12-31T23:59:59.999999Z",
    "2028-02-29T00:00:00Z": "2028-02-29T00:00:00.000000Z",
}


@pytest.mark.parametrize(("written", "meant"), READ.items())
def test_a_time_is_read_as_rfc_3339_says_and_its_seconds_are_cut_never_rounded(written: str, meant: str) -> None:
    assert rfc3339(parse_time(written)) == meant


def test_the_offset_that_was_said_is_kept() -> None:
    assert parse_time("2027-06-05T22:30:00-04:00").utcoffset() == timedelta(hours=-4)


NO_TIMES = {
    "": "must be a time",
    "soon": "must be a time",
    "2027-06-05": "must be a time",
    "2027-01-01 10:00:00Z": "must be a time",
    "2027-06-05T19:30Z": "must be a time",
    "20270605T193000Z": "must be a time",
    "2027-W22-6T19:30:00Z": "must be a time",
    "2027-06-05T19:30:00,5Z": "must be a time",
    "2027-06-05T19:30:00.Z": "must be a time",
    "2027-06-05T19:30:00+0200": "must be a time",
    "2027-06-05T19:30:00+02": "must be a time",
    "2027-06-05T19:30:00Z\n": "must be a time",
    " 2027-06-05T19:30:00Z": "must be a time",
    "\uff12\uff10\uff12\uff17-06-05T19:30:00Z": "must be a time",
    "+12027-06-05T19:30:00Z": "must be a time",
    "2027-06-05T19:30:00." + "1" * 100 + "Z": "must be a time",
    "2027-06-05T19:30:00": "needs an offset",
    "2027-02-29T19:30:00Z": "calendar",
    "2027-13-01T19:30:00Z": "calendar",
    "2027-06-00T19:30:00Z": "calendar",
    "2027-06-05T24:00:00Z": "hour above 23",
    "2027-06-05T19:60:00Z": "minute above 59",
    "2027-06-05T19:30:61Z": "second above 60",
    "2027-06-05T19:30:60Z": "second 60",
    "2027-06-05T23:59:60Z": "second 60",
    "2027-06-30T23:59:60+01:00": "second 60",
    "2027-06-05T19:30:00+24:00": "offset",
    "2027-06-05T19:30:00+01:60": "offset",
    "0000-01-01T00:00:00Z": "out of range",
    "0001-01-01T00:00:00+14:00": "out of range",
    "9999-12-31T23:59:59-14:00": "out of range",
}


@pytest.mark.parametrize(("written", "why"), NO_TIMES.items())
def test_what_is_no_time_is_refused_and_told_why(written: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_time(written)


@given(moment=MOMENTS)
def test_what_is_written_here_is_read_here(moment: datetime) -> None:
    assert parse_time(rfc3339(moment)) == moment


@pytest.mark.parametrize("written", ["2027-06-05", "0001-01-01", "9999-12-31", "2028-02-29"])
def test_a_date_is_read(written: str) -> None:
    assert parse_date(written).isoformat() == written
    check_date_or_time(written)


@pytest.mark.parametrize(
    "written",
    ["", "2027-02-29", "2027-6-5", "20270605", "0000-01-01", "2027-06-05Z", "2027-06-05 19:30:00Z", "2027-06-05\n"],
)
def test_what_is_no_date_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"date|range|calendar"):
        parse_date(written)
    with pytest.raises(ValueError, match=r"date|range|calendar"):
        check_date_or_time(written)

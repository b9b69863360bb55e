"""Ids rise, differ and are UUIDv7."""

import uuid

import pytest

from cludale.adapters.system.clock import SystemClock, SystemIds


def test_ids_rise_and_differ() -> None:
    ids = SystemIds()
    made = [ids.new("order") for _ in range(20_000)]
    assert made == sorted(set(made))


def test_an_id_is_a_uuid_of_version_7() -> None:
    prefix, _, digits = SystemIds().new("event").partition("-")
    assert prefix == "event"
    assert uuid.UUID(digits).version == 7
    assert uuid.UUID(digits).variant == uuid.RFC_4122


def test_ids_rise_though_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = SystemIds()
    before = ids.new("order")
    monkeypatch.setattr("time.time_ns", lambda: 0)
    assert ids.new("order") > before


def test_two_sources_make_different_ids() -> None:
    one, other = SystemIds(), SystemIds()
    assert not {one.new("a") for _ in range(1_000)} & {other.new("a") for _ in range(1_000)}


def test_the_clock_tells_utc() -> None:
    offset = SystemClock().now().utcoffset()
    assert offset is not None
    assert not offset

"""A value whose fields stand beside its carrier's in JSON."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cludale.kernel.flat import Flat, FlatJson


class Place(Flat, frozen=True, kw_only=True):
    section_id: str
    row: int = 1


class Ticket(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    owner: str
    place: Place


class Envelope(msgspec.Struct, frozen=True):
    subject: str
    data: Ticket


JSON = FlatJson(Ticket)


def ticket(owner: str = "ann", section: str = "stalls", row: int = 1) -> Ticket:
    return Ticket(owner=owner, place=Place(section_id=section, row=row))


def test_the_fields_stand_beside_the_carriers_own() -> None:
    assert json.loads(JSON.encode(ticket())) == {"owner": "ann", "sectionId": "stalls", "row": 1}


@given(owner=st.text(st.characters(codec="utf-8")) | st.just('"place":{'), section=st.just('}"place":{"') | st.text())
def test_whatever_the_texts_say_what_is_written_is_read(owner: str, section: str) -> None:
    written = JSON.encode(ticket(owner, section.encode("utf-8", "replace").decode()))
    assert JSON.decode(written) == ticket(owner, section.encode("utf-8", "replace").decode())
    assert set(json.loads(written)) == {"owner", "sectionId", "row"}


def test_the_fields_are_read_in_any_order_and_others_passed_over() -> None:
    assert JSON.decode(b' {"row": 3, "later": {"row": 9}, "sectionId": "box", "owner": "ann"}') == ticket(
        "ann", "box", 3
    )


def test_a_field_that_is_missing_has_its_default() -> None:
    assert JSON.decode(b'{"owner":"ann","sectionId":"box"}') == ticket("ann", "box", 1)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'"x"', b"", b"{", b'{"owner":"ann"}', b'{"sectionId":"box"}'])
def test_what_is_not_whole_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        JSON.decode(body)


def test_the_json_around_a_carrier_at_its_end_is_flattened_as_well() -> None:
    data = {"owner": "ann", "sectionId": "stalls", "row": 1}
    assert json.loads(JSON.encode(Envelope("s", ticket()))) == {"subject": "s", "data": data}


def test_a_type_without_such_a_value_is_written_as_ever() -> None:
    assert FlatJson(Place).encode(Place(section_id="box")) == b'{"sectionId":"box","row":1}'


def test_a_value_that_is_not_its_carriers_last_field_is_refused_at_once() -> None:
    class Wrong(msgspec.Struct):
        place: Place
        owner: str

    with pytest.raises(TypeError, match=r"Wrong: place .* last field"):
        FlatJson(Wrong)

"""Plans as pretix's JSON and as CSV: the same again after a round trip; all that is wrong is said, with its place."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cludale.services.concerts.seating import pretix, table
from cludale.services.concerts.seating.layout import Flags
from cludale.services.concerts.seating.plans import (
    MAX_FAULTS,
    MAX_ROW,
    UnusablePlan,
    category_and_flags,
    layout_of,
    named_with,
)


def seat(guid: str, number: str, x: float = 0, category: str = "Stalls", **more: Any) -> dict[str, Any]:
    return {
        "seat_guid": guid, "seat_number": number, "position": {"x": x, "y": 0}, "category": category, **more
    }  # fmt: skip


def plan(*seats: dict[str, Any], **more: Any) -> dict[str, Any]:
    row = {"row_number": "A", "seats": list(seats), "position": {"x": 10, "y": 30}, "row_label": None}
    zone = {
        "name": "Hall", "position": {"x": 100, "y": 50}, "rows": [row], "zone_id": "hall", "areas": [
            {"shape": "text", "position": {"x": 5, "y": -40}, "text": {"text": "STAGE", "position": {"x": 0, "y": 0}}}
        ],
    }  # fmt: skip
    return {
        "name": "House", "categories": [{"name": "Stalls", "color": "#7f4a91"}, {"name": "Stalls [wheelchair]"}],
        "zones": [zone], "size": {"width": 400, "height": 300}, **more,
    }  # fmt: skip


def read(said: dict[str, Any]) -> Any:
    return pretix.read(msgspec.json.encode(said))


def faults(said: dict[str, Any] | str) -> list[str]:
    with pytest.raises(UnusablePlan) as refused:
        table.read(said.encode()) if isinstance(said, str) else read(said)
    return [str(each) for each in refused.value.faults]


def test_a_plan_of_pretix_is_written_as_it_was_read() -> None:
    said = plan(seat("s-1", "1", radius=8, start_direction="<>"), seat("s-2", "2", 20.5, "Stalls [wheelchair]"))
    assert msgspec.json.decode(pretix.write(read(said))) == said


def test_a_section_is_laid_out_from_the_stage_with_places_added_up() -> None:
    layout = layout_of(read(plan(seat("s-1", "1"), seat("s-2", "2", 20, "Stalls [wheelchair]"))), "Hall")
    assert layout.focus == (105, 10)
    assert layout.seat(1) == ("s-2", "2", 130.0, 80.0, "Stalls", Flags.WHEELCHAIR)


def test_all_faults_of_form_are_said_at_once_with_their_places() -> None:
    said = plan(seat("s-1", "1"), {**seat("s-2", "2"), "seat_number": 2, "wheelchair": True}, size={"width": 4.5})
    said["zones"][0]["displayed"] = True
    assert sorted(faults(said)) == [
        "plan, size, width: has to be a whole number",
        'plan, size: needs the field "height"',
        'zone "Hall", row "A", seat 2, seat_number: has to be a text',
        'zone "Hall", row "A", seat 2: has no field "wheelchair"',
        'zone "Hall": has no field "displayed" (of an older form of the format: '
        "save the plan anew in pretix's editor)",
    ]  # fmt: skip


def test_all_faults_of_sense_are_said_at_once_with_their_places() -> None:
    said = plan(seat("s-1", "1"), seat("s-1", "2"), seat("s-3", "2", 999), seat("s-4", "4", category="Box"))
    assert faults(said) == [
        'zone "Hall", row "A", seat "2": its guid "s-1" is also that of zone "Hall", row "A", seat "1"',
        'zone "Hall", row "A", seat "2": is off the plan: 1109, 80 in 400 x 300',
        'zone "Hall", row "A", seat "2": this row and number are there twice in the zone',
        'zone "Hall", row "A", seat "4": no category "Box" in the plan',
    ]


def test_a_guid_that_two_seats_of_one_number_have_is_told() -> None:
    assert any("its guid" in each for each in faults(plan(seat("s-1", "1"), seat("s-1", "1"))))


def test_sizes_have_bounds_and_no_list_of_faults_is_endless() -> None:
    many = plan(*(seat(f"s-{n}", str(n), category="Box") for n in range(MAX_ROW + 1)))
    said = faults(many)
    assert said[0] == f'zone "Hall", row "A": {MAX_ROW + 1} seats, {MAX_ROW} at most'
    assert len(said) == MAX_FAULTS


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000, b"[]", b'{"name": 1e999}'])
def test_what_is_no_plan_is_refused(data: bytes) -> None:
    for form in (pretix.read, table.read):
        with pytest.raises(UnusablePlan):
            form(data)


HEAD = "section,row,seat,x,y,category,flags\n"


def test_a_table_is_written_as_it_was_read() -> None:
    said = HEAD + 'Hall,A,1,0,0.5,"Stalls, left",\nHall,A,2,20,0.5,"Stalls, left",wheelchair;restricted view\n'
    read = table.read(said.encode())
    assert table.write(read).decode() == said
    assert table.read(table.write(read)) == read


def test_a_plan_goes_through_a_table_with_ids_and_places() -> None:
    before = read(plan(seat("s-1", "1"), seat("s-2", "2", 20, "Stalls [wheelchair]")))
    after = table.read(table.write(before))
    one, two = layout_of(before, "Hall"), layout_of(after, "Hall")
    assert [one.seat(n) for n in range(2)] == [two.seat(n) for n in range(2)]


def test_faults_of_a_table_name_the_line() -> None:
    assert faults(HEAD + "Hall,A,1,x,0,,vip\nHall,A,2,0,0,S,\nHall,A,2,-5,0,S,\nHall,A\n") == [
        "line 2: category is empty",
        "line 2: x has to be a number, at most 1000000",
        'line 2: no flag "vip": wheelchair, companion, restricted view',
        "line 5: seat is empty",
        "line 5: category is empty",
        "line 5: x has to be a number, at most 1000000",
        "line 5: y has to be a number, at most 1000000",
        "line 4: is off the plan: -5, 0 in 20 x 20",
        'line 4: its guid "Hall-A-2" is also that of zone "Hall", row "A", seat "2"',
        "line 4: this row and number are there twice in the zone",
    ]
    assert faults("section,row\n") == ["line 1: names the columns: section, row, seat, x, y, category, flags, and id if you like"]  # fmt: skip # noqa: E501


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=20), st.sampled_from([Flags(n) for n in range(8)]))
def test_flags_are_said_by_the_categorys_name(name: str, flags: Flags) -> None:
    base, own = category_and_flags(name)
    assert category_and_flags(named_with(base, flags)) == (base, flags) if own == Flags.NONE and flags else True

"""A file of guests whose seats are named: what the API is told, and what of it names no seats."""

from cludale.pages.guest_files import has_seats, with_ids
from cludale.pages.numbered import Numbered
from cludale.pages.seat_names import SeatNameFault
from cludale.pages.shop.halls import Row, Seat

ROWS = [Row("A", [Seat(at, f"id;{at}" if at == 4 else f"id-{at}", "A", str(at + 1), "", at == 5) for at in range(6)])]
HALL = Numbered([("stalls", ROWS, b"\x3d")])
"""Of its seats A 2 is taken, A 6 a wheelchair's place."""


def test_names_become_ids_and_all_else_stays_in_its_line() -> None:
    text = '\ufeffName;Seats;Note\n\n"Ann;\nBee";"A 1-2; A 6";x\nBo;;y\nCy;id-2;\n'
    assert has_seats(text)
    file = with_ids(text, HALL)
    assert file.text == (
        'name;seats;note;section;wheelchairs\n\n\n"Ann;Bee";"id-0;id-1;id-5";x;stalls;1\nBo;;y;;\nCy;id-2;;stalls;\n'
    )
    assert (file.faults, file.seats, file.taken) == ([], ["A 1, 2, 6", "", "A 3"], ["A 2", "", ""])
    assert file.by_name("id-1 and id-10 and id-5") == "A 2 and id-10 and A 6"


def test_what_names_no_seats_is_told_by_its_line() -> None:
    file = with_ids("name,section,seats\nAnn,stalls,A 9\nBo,floor,A 1\nCy,,B 1\n", HALL)
    found = [(line, why.fault, why.place) for line, why in file.faults]
    assert found == [
        (2, SeatNameFault.NO_SEAT, "A 9"),
        (3, SeatNameFault.NO_NUMBERS, ""),
        (4, SeatNameFault.NO_ROW, "B 1"),
    ]
    ((line, why),) = with_ids("name,seats\nAnn,A 1\n", None).faults
    assert (line, why.fault) == (2, SeatNameFault.NO_NUMBERS)


def test_what_is_no_table_and_what_names_no_seats_stays_as_it_is() -> None:
    for text in ("name,seats\nAnn\n", 'name,seats\n"Ann,A 1', "name,note\nAnn,A 1\n", ""):
        assert with_ids(text, HALL).text == text
    assert not has_seats("name,note\nseats,1\n")

"""Guest lists as files: all of it is checked, and what is wrong is named by its line."""

import pytest

from cludale.kernel.refusals import Invalid
from cludale.services.orders.guests import MOST_GUESTS, from_csv, numbered


def wrong(text: str) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        from_csv(text)
    return [(each["field"], each["message"]) for each in refused.value.values["errors"]]


def test_a_file_is_read_whatever_its_delimiter_and_order_of_columns() -> None:
    first, second = from_csv('\ufeffTickets;Name;note\r\n2;"Ann; Bee";Press\r\n\r\n;Adébáyọ̀;\r\n')
    assert (first.name, first.tickets, first.note) == ("Ann; Bee", 2, "Press")
    assert (second.name, second.tickets, second.note, second.email) == ("Adébáyọ̀", 1, None, None)


def test_every_wrong_line_is_named() -> None:
    found = wrong("name,tickets,email\nAnn,21,\n,1,\nBo,x,\nCy,1,no-address\nDee,1\nEve,1,e@example.org\n")
    assert [field for field, _ in found] == [f"csv line {number}" for number in (2, 3, 4, 5, 6)]
    assert [message.partition(":")[0] for _, message in found[:4]] == ["tickets", "name", "tickets", "email"]
    assert wrong("name,seat\nAnn,1\n")[0][0] == "csv line 1"
    assert "no guests" in wrong("name\n")[0][1]
    assert "more than" in wrong("name\n" + "Ann\n" * (MOST_GUESTS + 1))[0][1]


def test_the_same_guest_twice_is_two_guests() -> None:
    assert [number for _, number in numbered(from_csv("name\nAnn\nBo\nAnn\n"))] == [0, 0, 1]

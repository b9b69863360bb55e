"""What a cursor of this store says: where the page before ended."""

import msgspec

from cludale.runtime.cursors import Cursors, Place, Value


class PlaceOfRow(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """The last record's number, and its value in the field that sorts."""

    question: str
    n: Place
    value: Value = None


cursors = Cursors(PlaceOfRow)

"""Who there is."""

from cludale.compose.roster import KINDS


def test_no_two_kinds_of_record_share_a_name() -> None:
    names = [(kind.service, kind.name) for kind in KINDS]
    assert len(names) == len(set(names))

"""Credentials: the organizer's key opens everything, an order's token that order, anything else nothing."""

import pytest

from cludale.kernel.refusals import NotFound
from cludale.web.access import Access, Who
from cludale.web.problems import Unauthorized

ACCESS = Access(organizer_key="open-sesame", token_key="secret")
BAD = [
    None,
    "",
    "Bearer",
    "Bearer ",
    "Bearer open",
    "Bearer open-sesame2",
    "open-sesame",
    "Basic open-sesame",
    "Bearer ü",
]


def test_the_organizers_key_opens_everything() -> None:
    ACCESS.check_organizer("Bearer open-sesame")
    ACCESS.check_organizer("bearer  open-sesame ")
    assert ACCESS.who_sees("order-1", "Bearer open-sesame") is Who.ORGANIZER


@pytest.mark.parametrize("credential", BAD)
def test_nothing_else_is_the_organizers_key(credential: str | None) -> None:
    with pytest.raises(Unauthorized):
        ACCESS.check_organizer(credential)


@pytest.mark.parametrize("credential", BAD)
def test_without_a_credential_an_order_is_not_there(credential: str | None) -> None:
    with pytest.raises(NotFound):
        ACCESS.who_sees("order-1", credential)


def test_a_token_opens_its_own_order_only() -> None:
    token = ACCESS.token_for("order-1")
    assert len(token) == 43
    assert ACCESS.who_sees("order-1", f"Bearer {token}") is Who.BUYER
    with pytest.raises(NotFound):
        ACCESS.who_sees("order-2", f"Bearer {token}")


def test_a_token_is_the_same_each_time_and_with_each_key_another() -> None:
    assert ACCESS.token_for("order-1") == ACCESS.token_for("order-1")
    assert Access(organizer_key="x", token_key="other").token_for("order-1") != ACCESS.token_for("order-1")

"""Who works at the desk of a module's `shop`."""

from collections.abc import Callable, Iterator

import pytest
from tests.product.pages.staffed import Staff
from tests.served import KEY, Served


@pytest.fixture(scope="module")
def sign_in(shop: Served) -> Iterator[Callable[[str], Staff]]:
    """Signs in whoever has this key."""
    opened: list[Staff] = []

    def signed_in(key: str) -> Staff:
        opened.append(Staff(shop.url))
        assert opened[-1].send("/staff/sign-in", "/staff/sign-in", key=key).status_code == 303
        return opened[-1]

    yield signed_in
    for each in opened:
        each.http.close()


@pytest.fixture(scope="module")
def staff(sign_in: Callable[[str], Staff]) -> Staff:
    """Whoever has the first key."""
    return sign_in(KEY)

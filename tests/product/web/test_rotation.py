"""Secrets are changed in steps (docs/use/keys.md): between two, processes of either work with those of both."""

from itertools import pairwise, product
from typing import NamedTuple

import pytest

from cludale.kernel.principals import SERVICE, Scope
from cludale.kernel.refusals import NotFound
from cludale.services import NAMES
from cludale.web.access import Access
from cludale.web.problems import Unauthorized
from cludale.web.service_keys import keys_from

CALLED = "concerts"


class Step(NamedTuple):
    """What a process is started with: the secret, and the one that is good too."""

    secret: str
    too: str | None = None
    service: str = "orders"
    """The process's own, whose key follows from the secret."""

    @property
    def access(self) -> Access:
        """As the process has it."""
        return Access(
            organizer_key="organizer",
            token_key=self.secret,
            token_key_too=self.too,
            service_keys=[keys_from(each, NAMES)[self.service] for each in (self.secret, self.too) if each is not None],
            serves=[self.service],
        )


STEPS = (Step("old"), Step("old", "new"), Step("new", "old"), Step("new"))
BESIDE = [pair for earlier, later in pairwise(STEPS) for pair in product((earlier, later), repeat=2)]


@pytest.mark.parametrize(("caller", "callee"), BESIDE)
def test_each_service_takes_the_calls_of_each(caller: Step, callee: Step) -> None:
    called_with = f"Bearer {caller.access.services.token(CALLED)}"
    called = callee._replace(service=CALLED)
    assert called.access.check(called_with, None, callers=("orders",)) is SERVICE


@pytest.mark.parametrize(("maker", "asked"), BESIDE)
def test_each_replica_opens_an_order_with_the_token_of_each(maker: Step, asked: Step) -> None:
    token = f"Bearer {maker.access.token_for('order-1')}"
    assert asked.access.of_order("order-1", token, Scope.READ) is None


def test_in_the_end_the_old_ones_open_nothing() -> None:
    before, after = STEPS[0].access, STEPS[-1]._replace(service=CALLED).access
    with pytest.raises(Unauthorized):
        after.check(f"Bearer {before.services.token(CALLED)}", None, callers=("orders",))
    with pytest.raises(NotFound):
        after.of_order("order-1", f"Bearer {before.token_for('order-1')}", Scope.READ)


def test_a_step_that_is_left_out_would_refuse_somebody() -> None:
    with pytest.raises(Unauthorized):
        STEPS[0]._replace(service=CALLED).access.check(
            f"Bearer {STEPS[2].access.services.token(CALLED)}", None, callers=("orders",)
        )

"""Who has just come is not sent away by a process that has not heard of them yet."""

import pytest

from cludale.pages.api import Answer
from cludale.pages.newcomers import NEW_SECONDS, known_soon

UNKNOWN, KNOWN = Answer(401, b"{}"), Answer(200, b"{}")


class Service:
    """Answers these, one after the other."""

    def __init__(self, *answers: Answer) -> None:
        self.left = list(answers)

    async def ask(self) -> Answer:
        return self.left.pop(0)


async def test_a_key_that_was_made_just_now_is_asked_for_again() -> None:
    assert await known_soon(Service(UNKNOWN, KNOWN).ask, age_seconds=lambda: 0.1) == KNOWN


@pytest.mark.parametrize("age", [NEW_SECONDS, -3_600])
async def test_an_older_key_or_one_of_the_future_is_unknown_at_once(age: float) -> None:
    service = Service(UNKNOWN, KNOWN)
    assert await known_soon(service.ask, age_seconds=lambda: age) == UNKNOWN
    assert service.left == [KNOWN]


async def test_a_new_key_that_stays_unknown_is_unknown_in_the_end() -> None:
    assert await known_soon(Service(*[UNKNOWN] * 4).ask, age_seconds=lambda: 0.0) == UNKNOWN

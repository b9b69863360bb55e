"""Every exception becomes a problem with a stable name; only the unforeseen is a 500, and says nothing of itself."""

import json
from typing import Any

import pytest

from cludale.kernel.refusals import Busy, Invalid, NotFound, Refusal
from cludale.ports.records import StoreUnavailable, UnusableCursor
from cludale.ports.seats import ConcertNotFound, SeatsUnavailable
from cludale.web.problems import MethodNotAllowed, Problems, Unauthorized
from cludale.web.responses import PROBLEM


class Rained(Refusal):
    """It rained.

    At length.
    """


def _answer(error: Exception, *, problems: Problems | None = None) -> tuple[int, dict[str, Any], dict[str, str]]:
    answer = (problems or Problems({SeatsUnavailable: 409, Rained: 418})).answer(error)
    assert answer.media_type == PROBLEM
    body: dict[str, Any] = json.loads(answer.body)
    assert body["status"] == answer.status
    return answer.status, body, dict(answer.headers)


def test_a_refusal_has_its_name_its_sentence_and_its_values() -> None:
    status, body, _ = _answer(SeatsUnavailable("demo", wanted=4, left=2))
    assert status == 409
    assert body["type"] == "/problems/seats-unavailable"
    assert body["title"] == "Seats unavailable"
    assert body["left"] == 2
    assert "2 seats left" in body["detail"]


def test_a_subclass_has_the_status_of_its_base_and_its_own_name() -> None:
    status, body, _ = _answer(ConcertNotFound("x"))
    assert (status, body["type"]) == (404, "/problems/concert-not-found")


def test_invalid_input_lists_the_fields() -> None:
    status, body, _ = _answer(Invalid(("quantity", "must be at least 1"), ("section", "is not known")))
    assert status == 422
    assert [each["field"] for each in body["errors"]] == ["quantity", "section"]


@pytest.mark.parametrize(
    ("error", "status", "header", "value"),
    [
        (Busy("full", retry_after_seconds=3), 503, "retry-after", "3"),
        (StoreUnavailable("locked"), 503, "retry-after", "1"),
        (Unauthorized(), 401, "www-authenticate", 'Bearer realm="cludale"'),
        (MethodNotAllowed(["POST", "GET"]), 405, "allow", "GET, POST"),
    ],
)
def test_what_goes_with_a_status_is_in_the_headers(error: Exception, status: int, header: str, value: str) -> None:
    answered, _, headers = _answer(error)
    assert answered == status
    assert headers[header] == value


def test_a_bad_cursor_names_its_field() -> None:
    status, body, _ = _answer(UnusableCursor("x"))
    assert status == 422
    assert body["errors"][0]["field"] == "after"


def test_the_unforeseen_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    status, body, _ = _answer(KeyError("secret"))
    assert status == 500
    assert body["type"] == "/problems/internal-error"
    assert "secret" not in json.dumps(body)
    assert body["id"] in caplog.text
    assert "secret" in caplog.text


def test_a_refusal_that_nobody_gave_a_status_is_unforeseen(caplog: pytest.LogCaptureFixture) -> None:
    status, _, _ = _answer(Rained("cats"), problems=Problems())
    assert status == 500
    assert "cats" in caplog.text


def test_every_problem_has_a_page() -> None:
    problems = Problems({Rained: 418})
    page = problems.page("rained")
    assert page is not None
    assert (page.status, page.meaning) == (418, "It rained.\n\nAt length.")
    assert {"invalid", "not-found", "busy", "store-unavailable"} <= {each.name for each in problems.pages()}
    assert all(each.meaning for each in problems.pages())
    assert problems.page("none") is None


def test_what_was_not_found_is_named() -> None:
    _, body, _ = _answer(NotFound("order", "x"))
    assert body["detail"] == "There is no order 'x'."

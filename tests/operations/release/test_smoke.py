"""The smoke test: what is wrong is named; what is busy for a moment is asked again."""

from collections import Counter

import httpx
import pytest

from cludale_operations.release import smoke
from cludale_operations.release.driver import Address


class Colour(httpx.BaseTransport):
    """A platform's answers, made here: each path is busy so many times at first."""

    def __init__(self, busy: int) -> None:
        self._busy = busy
        self.asked: Counter[str] = Counter()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        said = f"{request.method} {request.url.raw_path.decode()} {'authorization' in request.headers}"
        self.asked[said] += 1
        wanted = {f"{probe.method} {probe.path} {probe.as_organizer}": probe.status for probe in smoke.PROBES}
        return httpx.Response(503 if self.asked[said] <= self._busy else wanted[said])


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[Colour]:
    client, colours = httpx.Client, [Colour(0)]
    monkeypatch.setattr(smoke, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(httpx, "Client", lambda **more: client(**more, transport=colours[-1]))
    return colours


@pytest.mark.parametrize("busy", [0, 1, smoke.BUSY_TRIES - 1])
def test_what_is_busy_for_a_moment_is_asked_again(answered: list[Colour], busy: int) -> None:
    answered.append(Colour(busy))
    assert smoke.smoked(Address("http://green", {}), "a-key") == []
    assert set(answered[-1].asked.values()) == {busy + 1}


def test_what_stays_busy_is_wrong_and_is_named(answered: list[Colour]) -> None:
    answered.append(Colour(smoke.BUSY_TRIES))
    wrong = smoke.smoked(Address("http://green", {}), "a-key")
    assert len(wrong) == len(smoke.PROBES)
    assert all(each.endswith(f": 503, not {probe.status}") for each, probe in zip(wrong, smoke.PROBES, strict=True))

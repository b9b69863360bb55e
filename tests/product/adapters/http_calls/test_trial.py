"""A release in its trial calls its own colour; as soon as it takes events, it calls as every other version does."""

from tests.product.adapters.http_calls.test_calls import Other, answer, other

from cludale.adapters.http_calls.calls import HttpKeys
from cludale.adapters.http_calls.trial import Trial
from cludale.ports.keys import KeyListing

__all__ = ["other"]  # the fixture

LISTING = {"version": 1, "keys": [], "organizers": []}


async def test_in_a_trial_calls_go_past_the_sidecar_to_the_label_green_and_later_through_it(other: Other) -> None:
    is_on = True
    keys = HttpKeys(
        f"{other.url}/sidecar",
        lambda _: "service-key",
        timeout_seconds=1,
        headers={"dapr-app-id": "concerts"},
        trial=Trial(f"{other.url}/green", lambda: is_on),
    )
    other.play = other.sends(answer(200, LISTING))
    assert await keys.listing(None) == KeyListing(version=1, keys=[], organizers=[])
    is_on = False
    await keys.listing(None)
    await keys.close()
    on_trial, later = other.requests
    assert on_trial.startswith(b"GET /green/concerts/")
    assert b"x-cludale-label: green" in on_trial
    assert b"authorization: Bearer service-key" in on_trial
    assert b"dapr-app-id" not in on_trial
    assert later.startswith(b"GET /sidecar/concerts/")
    assert b"dapr-app-id: concerts" in later
    assert b"x-cludale-label" not in later

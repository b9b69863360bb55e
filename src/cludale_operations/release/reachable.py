"""Waits until an address that was just made is known everywhere and leads to the services."""

import time
from collections.abc import Callable

import httpx

from cludale_operations.release.driver import Address, PlatformFailed

PATH = "/concerts?limit=1"
TIMEOUT_SECONDS = 10.0
PAUSE_SECONDS = 2.0


def wait_until_reachable(
    address: Address,
    *,
    within_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Ask until a service answers, with whatever status: that is JSON, and what is before the services says no JSON.

    Raises PlatformFailed.
    """
    end = now() + within_seconds
    while True:
        why = _unreachable(address)
        if not why:
            return
        if now() >= end:
            raise PlatformFailed(f"{address.url} does not answer within {within_seconds:g} s ({why})")
        sleep(PAUSE_SECONDS)


def _unreachable(address: Address) -> str:
    try:
        answer = httpx.get(address.url + PATH, headers=address.headers, timeout=TIMEOUT_SECONDS, verify=address.verify)
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    is_json = answer.headers.get("content-type", "").partition(";")[0] in {
        "application/json",
        "application/problem+json",
    }
    return "" if is_json else f"{answer.status_code}, and not from a service"

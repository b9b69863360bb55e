"""The smoke test: does every service of a colour answer at all, and as it should? Requests that change nothing."""

import time
from collections.abc import Mapping

import httpx

from cludale.services.catalogue import SERVICES
from cludale_operations.release.driver import Address

TIMEOUT_SECONDS = 10.0
BUSY_TRIES = 10
BUSY_SECONDS = 1.0
"""503 says that nothing was done and to try again: what has just started may not know the others yet."""


PROBES = tuple(probe for service in SERVICES for probe in service.probes)


def smoked(at: Address, organizer_key: str) -> list[str]:
    """What is wrong; nothing if all is well."""
    wrong = []
    with httpx.Client(base_url=at.url, headers=at.headers, timeout=TIMEOUT_SECONDS, verify=at.verify) as http:
        for probe in PROBES:
            said = f"{probe.method} {probe.path}"
            bearer = {"authorization": f"Bearer {organizer_key}"} if probe.as_organizer else {}
            body = b"{}" if probe.method == "POST" else None
            if body is not None:
                bearer["content-type"] = "application/json"
            try:
                status = _status(http, probe.method, probe.path, bearer, body)
            except httpx.HTTPError as error:
                wrong.append(f"{said}: no answer ({error})")
                continue
            if status != probe.status:
                wrong.append(f"{said}: {status}, not {probe.status}")
    return wrong


def _status(http: httpx.Client, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> int:
    """The status of the answer; of the last one, where it is busy for some seconds."""
    for tried in range(BUSY_TRIES):
        if tried:
            time.sleep(BUSY_SECONDS)
        status = http.request(method, path, headers=headers, content=body).status_code
        if status != httpx.codes.SERVICE_UNAVAILABLE:
            break
    return status

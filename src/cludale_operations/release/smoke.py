"""The smoke test: does every service of a colour answer at all, and as it should? Requests that change nothing."""

from collections.abc import Mapping

import httpx

from cludale.services.catalogue import SERVICES

TIMEOUT_SECONDS = 10.0


PROBES = tuple(probe for service in SERVICES for probe in service.probes)


def smoked(url: str, headers: Mapping[str, str], organizer_key: str) -> list[str]:
    """What is wrong; nothing if all is well."""
    wrong = []
    with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS) as http:
        for probe in PROBES:
            said = f"{probe.method} {probe.path}"
            bearer = {"authorization": f"Bearer {organizer_key}"} if probe.as_organizer else {}
            body = b"{}" if probe.method == "POST" else None
            if body is not None:
                bearer["content-type"] = "application/json"
            try:
                answer = http.request(probe.method, probe.path, headers=bearer, content=body)
            except httpx.HTTPError as error:
                wrong.append(f"{said}: no answer ({error})")
                continue
            if answer.status_code != probe.status:
                wrong.append(f"{said}: {answer.status_code}, not {probe.status}")
    return wrong

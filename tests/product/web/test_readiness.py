"""What `/readyz` and `/readyz/replica` answer, by what does not work."""

import httpx
import pytest
from tests.fakes import NOON
from tests.served_here import served_here

from cludale.kernel.times import rfc3339
from cludale.runtime.readiness import Trouble
from cludale.web.app import WebApp

STORE = Trouble("store", "The store takes no writes: the disk is full.", NOON, is_shared=True)
SIDECAR = Trouble("sidecar", "There is no Dapr sidecar.", NOON, is_shared=False)


async def ask(path: str, *troubles: Trouble, is_up: bool = True) -> httpx.Response:
    app = WebApp([], is_ready=lambda: is_up, troubles=lambda: troubles, gauges=dict, version="0")
    async with served_here(app) as http:
        return await http.get(path)


@pytest.mark.parametrize("path", ["/readyz", "/readyz/replica"])
async def test_without_trouble_it_is_ready_once_it_is_up(path: str) -> None:
    assert (await ask(path)).json() == {"status": "ready"}
    starting = await ask(path, is_up=False)
    assert (starting.status_code, starting.json()["detail"]) == (503, "Starting or stopping.")


async def test_each_trouble_is_told_with_its_part_and_since_when() -> None:
    answer = await ask("/readyz", STORE, SIDECAR)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == ("/problems/not-ready", 503)
    assert problem["detail"] == "The store takes no writes: the disk is full. There is no Dapr sidecar."
    assert [(each["part"], each["detail"]) for each in problem["troubles"]] == [
        ("store", STORE.detail),
        ("sidecar", SIDECAR.detail),
    ]
    assert {each["since"] for each in problem["troubles"]} == {rfc3339(NOON)}


async def test_what_all_replicas_share_takes_none_of_them_away() -> None:
    assert (await ask("/readyz/replica", STORE)).status_code == 200
    alone = await ask("/readyz/replica", STORE, SIDECAR)
    assert (alone.status_code, alone.json()["detail"]) == (503, SIDECAR.detail)


async def test_it_lives_whatever_does_not_work() -> None:
    assert (await ask("/livez", STORE, SIDECAR, is_up=False)).status_code == 200

"""The platform that the journeys visit: a server of their own, as `cludale serve` starts it.

With JOURNEYS_SHAPE=nats or =rabbitmq they visit the distributed shape over that broker, as `cludale up --distributed`
starts it: the same journeys, unchanged, save those that start single services. With JOURNEYS_URL and JOURNEYS_KEY they
visit the platform there, whatever its shape; those journeys that need settings or a folder of their own are skipped.
JOURNEYS_STORE says where a server of theirs keeps everything (stores.py).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.parts import need
from tests.proof.journeys.box_office import BoxOffice
from tests.proof.journeys.stores import store_settings
from tests.served import KEY, Served, serve, up

HASTE = {
    "CLUDALE_SWEEP_SECONDS": "0.25",  # each takes some 4 ms, in servers that stand idle for minutes beside other tests
    "CLUDALE_PAYMENT_ATTEMPT_SECONDS": "4.5",
    "CLUDALE_PAYMENT_BACKOFF_SECONDS": "0.05",
    "CLUDALE_PAYMENT_BACKOFF_MAX_SECONDS": "0.5",
    "CLUDALE_PAYMENT_SLOW_SECONDS": "2",  # so that what is asked meanwhile is asked in time
    "CLUDALE_DEMO": "0",
}
"""Waits so short that a journey takes no longer than it has to."""


class Running(NamedTuple):
    """A server of ours, and how to call it."""

    office: BoxOffice
    served: Served


PROGRAMS = {"nats": ("postgres", "nats-server", "daprd"), "rabbitmq": ("postgres", "rabbitmq-server", "daprd")}

Start = Callable[..., AbstractContextManager[Running]]


def is_over_cosmos() -> bool:
    """Do servers of the journeys' own keep everything in Cosmos DB?"""
    return os.environ.get("JOURNEYS_STORE") == "cosmos"


reads_the_embedded_store = pytest.mark.skipif(
    "JOURNEYS_SHAPE" in os.environ or is_over_cosmos(),
    reason="lets the checker read the embedded store, at the speed of one process",
)


@contextmanager
def running(folder: Path, *services: str, **settings: str) -> Iterator[Running]:
    """A server over `folder`; settings without their prefix, `hold_seconds="1"`. It has to end in order."""
    shape = os.environ.get("JOURNEYS_SHAPE")
    if shape and services:
        pytest.skip("is about a service without the others, as `cludale serve` starts it")
    variables = HASTE | store_settings(folder) | {f"CLUDALE_{name.upper()}": value for name, value in settings.items()}
    if shape:
        for program in PROGRAMS[shape]:
            need(program)
        platform = up(folder, "--broker", shape, settings=variables)
    else:
        platform = serve(folder, *services, settings=variables)
    with platform as served, BoxOffice(served.url, KEY) as office:
        yield Running(office, served)
        if served.process.poll() is None:
            assert served.stop() == 0, "it did not end in order"


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoxOffice]:
    """The platform that most journeys share."""
    url = os.environ.get("JOURNEYS_URL")
    if url:
        with BoxOffice(url, os.environ["JOURNEYS_KEY"]) as there:
            yield there
        return
    with running(tmp_path_factory.mktemp("journeys")) as ours:
        yield ours.office


@pytest.fixture(scope="session")
def start() -> Start:
    """`start(folder, hold_seconds="1")`: a server with settings of its own, for as long as the block lasts."""
    if os.environ.get("JOURNEYS_URL"):
        pytest.skip("needs a server with settings of its own")
    return running


@pytest.fixture(scope="session")
def hasty(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoxOffice]:
    """A platform where a hold ends within three seconds, and what the provider does not answer at once comes later."""
    late = {"payment_slow_seconds": "4.5", "payment_attempt_seconds": "10"}
    again = {"payment_backoff_seconds": "5", "payment_backoff_max_seconds": "5"}
    with start(tmp_path_factory.mktemp("hasty"), hold_seconds="2", **late, **again) as ours:
        yield ours.office

"""RabbitMQ and sidecars are restarted under load. What counts is what was kept, so other tests may run beside it."""

import signal
from pathlib import Path
from time import perf_counter

import pytest
from tests.proof.faults.apart import Stream, apart
from tests.proof.faults.crowd import Crowd
from tests.proof.faults.experiment import Faults, Figures, Scale
from tests.proof.faults.test_apart import A_SECOND, CONNECTIONS, SETTINGS, all_kept, sold_more, write_down

from cludale_operations.local.daprd import Broker

MANY_CONNECTIONS = 24

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a dozen restarts in turn


def test_rabbitmq_and_sidecars_are_ended_in_turn_under_load_and_every_promise_is_kept(
    tmp_path: Path, seed: int, scale: Scale, faults: Faults, figures: Figures
) -> None:
    ended, turns = "RabbitMQ and a sidecar ended (SIGTERM)", scale.of_three(3, 10, 10)
    connections = scale.of_three(CONNECTIONS, CONNECTIONS, MANY_CONNECTIONS)
    faults.expect(ended)
    crowd = Crowd(["c-1"], seed=seed)
    began = perf_counter()
    with apart(
        tmp_path / "data", replicas=["concerts=2", "notifications=2"], settings=SETTINGS, broker=Broker.RABBITMQ
    ) as platform:
        platform.concert("c-1", seats=1_000_000)
        sidecars = [name for name in platform.names() if name.endswith("-sidecar")]
        with Stream(crowd, platform, connections=connections, a_second=A_SECOND):
            for turn in range(turns):
                platform.end(["rabbitmq", sidecars[turn % len(sidecars)]], signal.SIGTERM, until_all=False)
                faults.fire(ended)
                assert sold_more(crowd), f"nobody was confirmed after RabbitMQ ended for the {turn + 1}. time"
        all_kept(platform, crowd)
    write_down(
        figures,
        f"RabbitMQ and a sidecar ended under load, {turns} times",
        confirmed=len(crowd.accepted),
        outcome=f"every promise kept, {perf_counter() - began:.0f} s",
    )

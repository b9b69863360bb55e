"""An evening at the door, as `cludale rehearse --doors` rehearses it: some doors have no network."""

import asyncio

from tests.proof.journeys.box_office import BoxOffice

from cludale_proof.rehearsal.plan import Plan, Silent
from cludale_proof.rehearsal.rehearse import rehearse


def test_all_who_bought_come_in_and_nobody_comes_in_unseen(office: BoxOffice) -> None:
    key = office.organizer["authorization"].removeprefix("Bearer ")
    plan = Plan(
        url=office.url,
        organizer_key=key,
        seats=120,
        buyers=130,
        connections=16,
        timeout_seconds=30,
        doors=4,
        offline_doors=2,
        shown_again=0.5,
    )
    outcome = asyncio.run(rehearse(plan, Silent()))
    assert [check for check in outcome.checks if not check.ok] == []
    evening = outcome.evening
    assert evening is not None
    assert evening.said.keys() == {"valid", "used", "revoked", "forged"}
    assert evening.seen.double_entries, "somebody came with one code to two doors that could not know of each other"

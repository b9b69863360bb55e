"""Green, tried at its label before anybody else gets there: the smoke test, then a short rehearsal of an on-sale."""

from collections.abc import Callable

import uvloop

from cludale_operations.proof import proof_for
from cludale_operations.release.driver import Address
from cludale_operations.release.smoke import PROBES, smoked

CONNECTIONS = 8


def tried(address: Address, organizer_key: str, *, buyers: int, seats: int, report: Callable[[str], None]) -> list[str]:
    """What is wrong; nothing if all is well. Raises ProofMissing, before anything is asked."""
    if buyers:
        with proof_for("cludale release try"):
            from cludale_proof.rehearsal.plan import CannotRehearse, Plan, Silent  # noqa: PLC0415 - may not be installed
            from cludale_proof.rehearsal.rehearse import rehearse  # noqa: PLC0415 - as above
    wrong = smoked(address, organizer_key)
    if wrong:
        return wrong
    report(f"smoke test: all {len(PROBES)} answers are as they should be")
    if not buyers:
        return []
    plan = Plan(
        url=address.url,
        organizer_key=organizer_key,
        headers=dict(address.headers),
        trust=address.trust,
        seats=seats,
        buyers=buyers,
        connections=CONNECTIONS,
    )
    try:
        outcome = uvloop.run(rehearse(plan, Silent()))
    except CannotRehearse as error:
        return [f"no rehearsal: {error}"]
    report(f"rehearsal: {outcome.accepted} orders, p99 {outcome.latency.p99_ms} ms, {len(outcome.checks)} checks")
    return [f"rehearsal: {check.name}: {check.found}" for check in outcome.checks if not check.ok]

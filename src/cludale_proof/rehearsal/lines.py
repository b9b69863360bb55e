"""How a rehearsal tells another program how it gets on: one JSON object a line, the outcome last."""

import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from cludale_proof.rehearsal.load import Tally
from cludale_proof.rehearsal.plan import Plan


class Lines:
    """A reporter that writes each report as a line."""

    def opened(self, concert_id: str, plan: Plan) -> None:
        """It begins."""
        _write(stage="opened", concertId=concert_id, buyers=plan.buyers)

    def selling(self, tally: Tally, refused: int, accepted: int) -> None:
        """So far."""
        done = tally.answered + tally.failed
        _write(stage="selling", done=done, accepted=accepted, refused=refused, others=done - accepted - refused)

    def settling(self, settled: int, accepted: int) -> None:
        """So many are at an end state."""
        _write(stage="settling", done=settled, accepted=accepted)

    def auditing(self, events_read: int) -> None:
        """So many were read."""
        _write(stage="auditing", done=events_read)

    def letting_in(self, shown: int, showings: int) -> None:
        """So many codes were shown at doors with network."""
        _write(stage="letting-in", done=shown, of=showings)


def tell(outcome: Mapping[str, object]) -> None:
    """The outcome, as the last line."""
    _write(stage="over", outcome=outcome)


def _write(**said: Any) -> None:
    sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
    sys.stdout.flush()

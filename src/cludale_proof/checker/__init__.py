"""An independent checker: does what stands in the stores and in the log keep the platform's promises?

It imports nothing else of Cludale: rules, lifecycles and stored forms are written down here a second time, so that
a mistake in the services is not a mistake here. `check` looks at a whole world as it stands (`DataFolder` for one on
disk, `MemorySnapshot` for one in memory); `SafetyChecker` looks on while things happen, commit by commit.
"""

from cludale_proof.checker.data_folder import DataFolder, Unopenable
from cludale_proof.checker.documents import Kind
from cludale_proof.checker.findings import Broken, Invariant, Report, Violation
from cludale_proof.checker.ledger import LedgerLine
from cludale_proof.checker.observations import Credential, Observation
from cludale_proof.checker.snapshot import MemorySnapshot, Row, Snapshot
from cludale_proof.checker.stepwise import SafetyChecker, Write
from cludale_proof.checker.whole import check

__all__ = [
    "Broken",
    "Credential",
    "DataFolder",
    "Invariant",
    "Kind",
    "LedgerLine",
    "MemorySnapshot",
    "Observation",
    "Report",
    "Row",
    "SafetyChecker",
    "Snapshot",
    "Unopenable",
    "Violation",
    "Write",
    "check",
]

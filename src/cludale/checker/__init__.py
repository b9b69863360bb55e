"""An independent checker: does what stands in the stores and in the log keep the platform's promises?

It imports nothing else of Cludale: rules, lifecycles and stored forms are written down here a second time, so that
a mistake in the services is not a mistake here. `SafetyChecker` looks on while things happen, commit by commit.
"""

from cludale.checker.documents import Kind, LedgerLine
from cludale.checker.findings import Broken, Invariant, Report, Violation
from cludale.checker.observations import Credential, Observation
from cludale.checker.stepwise import SafetyChecker, Write

__all__ = [
    "Broken",
    "Credential",
    "Invariant",
    "Kind",
    "LedgerLine",
    "Observation",
    "Report",
    "SafetyChecker",
    "Violation",
    "Write",
]

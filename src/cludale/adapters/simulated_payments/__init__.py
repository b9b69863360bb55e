"""A payment provider for laptops, tests and rehearsals: moves no money, and behaves like one elsewhere that does."""

from cludale.adapters.simulated_payments.ledger import Ledger, read_ledger
from cludale.adapters.simulated_payments.provider import SimulatedProvider
from cludale.adapters.simulated_payments.rules import METHODS, LedgerRow

__all__ = ["METHODS", "Ledger", "LedgerRow", "SimulatedProvider", "read_ledger"]

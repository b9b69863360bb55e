"""Records in a Dapr state store: for a service that publishes nothing, on any store with transactions and ETags.

api.py       what is asked of the sidecar, and what its answers mean
dialects.py  what kinds of state stores want of whoever asks them
documents.py what lies in the state store, under which keys
index.py     the index of a kind: trees that only grow, and the walk through one in the order of a query. No I/O
store.py     Records over these
"""

from cludale.adapters.dapr.state.dialects import DIALECTS, StateType
from cludale.adapters.dapr.state.store import NoOutbox, StateStore

__all__ = ["DIALECTS", "NoOutbox", "StateStore", "StateType"]

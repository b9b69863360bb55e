"""The checker judges who bought how much, but can't open what is sealed: it is shown orders with their addresses."""

from collections.abc import Iterator, Sequence

import msgspec

from cludale.adapters.ciphers import AeadSeals
from cludale.ports.records import Put
from cludale.services.orders.privacy.domain import unpacked
from cludale.services.orders.store import ORDERS, PERSONAL

MASTER = "master"
"""The master key of personal data in every world: no buyer is real."""

_seals = AeadSeals(MASTER)


def with_addresses(puts: Sequence[Put]) -> Iterator[tuple[Put, bytes]]:
    """What one commit writes, with the bodies to show: an order beside its sealed address has that in clear."""
    left = {}
    for put in puts:
        if put.kind == PERSONAL.kind:
            sealed = PERSONAL.decode(put.body).sealed
            if sealed is not None:
                left[put.id] = unpacked(_seals.open(sealed, put.id))
    for put in puts:
        if put.kind == ORDERS.kind and put.id in left:
            order = msgspec.json.decode(put.body)
            address = left[put.id]
            yield put, msgspec.json.encode({**order, "email": address.email, "phone": address.phone})
        else:
            yield put, put.body

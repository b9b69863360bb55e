"""The payment provider's own books, as the checker reads them."""

import msgspec


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="_", tag="ledger", gc=False):
    """What the payment provider itself knows of one key: what it took and what it gave back, in minor units."""

    key: str
    captured: int
    refunded: int
    charges: int = 1
    """How often it took the money, if it took any."""

    @property
    def net(self) -> int:
        """What the provider still has."""
        return self.captured - self.refunded

    @property
    def payment_id(self) -> str:
        """The payment whose round this key is: keys are `<payment id>.<round>`."""
        return self.key.rpartition(".")[0]

    @property
    def round(self) -> int:
        """The round; 0 if the key has none."""
        text = self.key.rpartition(".")[2]
        return int(text) if text.isdecimal() else 0

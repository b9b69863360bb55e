"""The wallets that the settings set up; signatures are made beside the loop."""

import asyncio
from pathlib import Path

from cludale.adapters.wallets.apple import ApplePasses, UnusableCertificate
from cludale.adapters.wallets.google import GoogleLinks, UnusableAccount
from cludale.ports.clock import Clock
from cludale.ports.wallets import WalletTicket

Unusable = (UnusableCertificate, UnusableAccount)


class KeptWallets:
    """Apple's with a PEM file, Google's with an account's key and an issuer's number."""

    def __init__(
        self, *, apple_pem: Path | None, google_key: Path | None, google_issuer: str | None, clock: Clock
    ) -> None:
        """Raises UnusableCertificate, UnusableAccount, OSError."""
        self._clock = clock
        self._apple = None if apple_pem is None else ApplePasses(apple_pem, now=clock.now())
        self._google: GoogleLinks | None = None
        if google_key is not None and google_issuer is not None:
            self._google = GoogleLinks(google_key, issuer=google_issuer)

    @property
    def has_apple(self) -> bool:
        """Is there a certificate for passes?"""
        return self._apple is not None

    @property
    def has_google(self) -> bool:
        """Is there an issuer's key?"""
        return self._google is not None

    async def apple(self, ticket: WalletTicket, /) -> bytes:
        """A signed pass. Raises LookupError, where none is set up."""
        if self._apple is None:
            raise LookupError("no certificate for passes is set")
        return await asyncio.to_thread(self._apple.made, ticket)

    async def google(self, ticket: WalletTicket, /) -> str:
        """The address that saves this ticket in Google Wallet. Raises LookupError where no issuer is set up."""
        google = self._google
        if google is None:
            raise LookupError("no issuer of passes is set")
        return await asyncio.to_thread(lambda: google.link(ticket, now=self._clock.now()))

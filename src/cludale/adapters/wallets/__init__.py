"""Tickets for the wallets of phones: signed passes for Apple's, signed links for Google's."""

"""Stripe as the payment provider, by its own library. Needs the package's extra `stripe`."""

from cludale.adapters.stripe_payments.provider import METHODS, StripeProvider

__all__ = ["METHODS", "StripeProvider"]

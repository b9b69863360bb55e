"""Payments: charges, attempts and refunds, through a payment provider."""

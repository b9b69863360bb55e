"""Discount codes, and how often each was used."""

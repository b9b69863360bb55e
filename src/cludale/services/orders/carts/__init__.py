"""Carts: orders that are held and paid together."""

"""Invoices for paid orders, and credit notes for what was given back of them."""

"""Tickets: what lets a buyer in. One for each seat that was paid for, its code, and what becomes of it at the door."""

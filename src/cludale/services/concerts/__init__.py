"""Concerts: what is on, how many seats each section has, and who holds them."""

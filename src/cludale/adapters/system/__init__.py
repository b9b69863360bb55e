"""This machine: its clock, its randomness, and files that keep keys. No service logic."""

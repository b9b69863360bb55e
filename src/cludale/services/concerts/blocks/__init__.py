"""Blocks: seats of a section that are held back for a named purpose until an end."""

"""Waiting lists: who waits for seats of a section, and what they are offered."""

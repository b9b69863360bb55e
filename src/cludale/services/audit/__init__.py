"""Audit: every event once, whole, in order, in a chain of hashes; the order's story, verification and replay."""

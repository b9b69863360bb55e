"""Holds for several orders together: all of them, or none."""

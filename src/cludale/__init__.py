"""Cludale Tickets: event-driven concert ticketing that never oversells and can prove it."""

__version__ = "0.1.0"

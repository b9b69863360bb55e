"""Peers: other ways to do what Cludale Tickets does, to be measured beside it."""

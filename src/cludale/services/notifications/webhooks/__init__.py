"""Webhooks: an organizer's own servers are told of what happens, by the Standard Webhooks specification 1.0.0.

An endpoint (`endpoints.py`) is where an organizer wants to be told. An event that it wants (`catalogue.py`) becomes a
delivery (`deliveries.py`), which is due work: posted, signed (`signing.py`), until it is answered with 2xx.
"""

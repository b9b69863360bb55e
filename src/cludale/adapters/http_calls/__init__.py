"""Calls between services that run in processes of their own: HTTP, with a timeout and the organizer's key."""

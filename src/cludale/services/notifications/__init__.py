"""Notifications: what buyers are told, by e-mail, by text message or, for those who left no address, in the log."""

"""The HTTP kit of the services' api.py files: answers, problems, JSON bodies, access, paging. No routes, no app."""

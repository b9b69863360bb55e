"""FastAPI and SQLite in one process, as a good engineer would write it."""

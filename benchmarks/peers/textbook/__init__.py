"""FastAPI, SQLAlchemy and PostgreSQL, as a textbook has it."""

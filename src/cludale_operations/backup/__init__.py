"""Copies of all that is kept, made while it runs: one encrypted file, read back before it is called a backup.

`archive.py` is the file, `folder.py` what a data folder puts into it and `database.py` what a PostgreSQL database does.
"""

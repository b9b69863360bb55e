"""The door's page: a phone that lets people in, paired by a code, with and without scripts, with and without network."""

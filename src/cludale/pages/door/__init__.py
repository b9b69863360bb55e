"""The door's page: a phone that lets people in, with scripts and without, with network and without."""

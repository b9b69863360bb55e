"""Calls between services of one process: no HTTP, no codec, the same refusals."""

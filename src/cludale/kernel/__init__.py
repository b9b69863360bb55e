"""What every part speaks: money, ids, times, events, refusals, decisions. Pure: no I/O, no clock, no randomness."""

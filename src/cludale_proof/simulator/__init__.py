"""The simulator: all services in one thread under virtual time, with faults, from one seed.

The services, their handlers and decisions, the relay and the embedded bus are the real ones. What they stand on
is simulated here: event loop, clock, store, broker, network, payment provider, buyers. What must hold is not
decided here: the independent checker is asked after every commit and at the end.
"""

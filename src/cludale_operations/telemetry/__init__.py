"""Telemetry: traces that follow an order, metrics and logs, sent to where an operator looks at them.

Switched on by `cludale serve`; the wiring then puts the wrappers of this package around handlers, stores and adapters.
Off, none of them is there, and nothing of this package but the log's format is loaded. The product does not import it.
"""

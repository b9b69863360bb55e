"""The embedded shape's event bus: in one process, through the wire codec like any other."""

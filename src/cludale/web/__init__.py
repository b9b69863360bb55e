"""The app and the server: routes put together, connections and limits, documentation, metrics. No service logic."""

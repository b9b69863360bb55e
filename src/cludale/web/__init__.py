"""The app and the server: routes put together, the express lane, documentation, metrics, limits. No service logic."""

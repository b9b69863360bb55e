"""The seating plans of concerts as they are kept, shown and changed. What a plan is, `seating/` says."""

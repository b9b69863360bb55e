"""Which of what is locked has a newer release that has waited for too long."""

"""An organizer gives buyers other numbered seats, or has two orders swap."""

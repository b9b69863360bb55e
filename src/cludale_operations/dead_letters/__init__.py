"""Dead letters that a broker keeps itself: where they stand, and how they are sent to their service again."""

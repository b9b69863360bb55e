"""For those who work here: signing in and out, their session, keys, who is signed in, and pairing a door's device."""

"""What becomes of a concert: changed, postponed, called off."""

"""Building a card image to flash."""

"""One file a room: what can be set there, what it means, and in which range."""

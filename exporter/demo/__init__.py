"""A simulated organisation behind faithful copies of the four platforms' APIs, served on loopback."""

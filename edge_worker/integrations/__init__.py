"""How a worker makes itself known to other people's systems; each has a room of its own, and is off by default."""

"""The drawn street with walking people: what the demo's camera sees when there is no camera."""

"""The commands beside `run`: camera, watch, demo, parse, check and model, and what they need."""

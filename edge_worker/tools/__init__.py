"""The commands beside `run`: camera, watch, demo, parse, bench, check and model, and what they need."""

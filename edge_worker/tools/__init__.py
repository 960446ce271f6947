"""The commands besides `run`: camera, watch, demo, parse, bench, check, model, and what they need."""

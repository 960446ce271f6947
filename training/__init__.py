"""Training of m2fp-lite, from the photos to the shipped file; see README.md. Not in the wheel."""

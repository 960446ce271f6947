"""How m2fp-lite was made, from the photos to the shipped file; see README.md. Not in the wheel."""

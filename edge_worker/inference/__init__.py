"""The model process, and what is said between it and the worker. Its values and messages import no numeric library."""

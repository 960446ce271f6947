"""The model process and its IPC with the worker. Types and messages import no numeric library."""

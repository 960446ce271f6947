"""The library (docs/python.md): what ``from edge_worker import …`` gives."""

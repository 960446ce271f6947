"""The library (docs/python.md): implementation of what ``edge_worker`` exports."""

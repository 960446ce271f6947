"""Shared helpers: atomic files, timestamps, topics, deadlines. Standard library only."""

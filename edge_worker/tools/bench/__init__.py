"""``edge-worker bench``: what each stage of a frame costs here, by engine, precision, threads, size and people.

Imports nothing: the measured processes import this module first, one of them in another environment.
"""

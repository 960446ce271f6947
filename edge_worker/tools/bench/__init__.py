"""``edge-worker bench``: what each stage of a frame costs here, by engine, precision, threads, size and people.

Nothing is imported here: the processes that are measured begin with this module, one of them in another environment.
"""

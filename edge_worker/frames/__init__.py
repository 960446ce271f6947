"""Frames inside the worker: queues, scheduling, counters, acknowledgements. Pure except for the queue's lock."""

"""Frames on their way through the worker: queues, turns, counters, acknowledgements. Pure but for the queue's lock."""

"""Jobs: images that are parsed when there is time, kept on disk with their results across restarts of the gateway.

One thread owns the directory (:class:`.store.Store`), tasks of the event loop get the images parsed
(:class:`.runner.Runner`), and :class:`.jobs.Jobs` is what the rest of the gateway sees.
"""

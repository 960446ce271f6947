"""Results of ``parse`` as pre-annotations for labelling tools and training: ``edge-worker export``.

A format is a module with a class that implements :class:`~edge_worker.tools.annotations.writer.Writer`, registered in
:mod:`edge_worker.tools.annotations.command`.
"""

"""Results of ``parse`` as pre-annotations for labelling tools and training: ``edge-worker export``.

A format is a module with a class that keeps :class:`~edge_worker.tools.annotations.writer.Writer`, named in
:mod:`edge_worker.tools.annotations.command`.
"""

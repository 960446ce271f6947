"""The AsyncAPI document: what a worker takes and sends, for programs to read; ``edge-worker schema`` prints it."""

from edge_worker.messages.asyncapi.document import document

__all__ = ["document"]

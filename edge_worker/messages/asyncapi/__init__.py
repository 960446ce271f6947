"""The AsyncAPI document: a machine-readable description of a worker's messages; ``edge-worker schema`` prints it."""

from edge_worker.messages.asyncapi.document import document

__all__ = ["document"]

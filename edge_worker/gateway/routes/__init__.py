"""What is served, one module per subject; each has a router for a :class:`edge_worker.gateway.hub.Hub`."""

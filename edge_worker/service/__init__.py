"""The worker process of ``edge-worker run``: where frames, model processes and the broker are joined."""

"""The worker against brokers of several makers: ``python -m interop`` writes the table in docs/brokers.md."""

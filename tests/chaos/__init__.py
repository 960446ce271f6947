"""The fault suite: real brokers, real workers, real faults, and an account of every frame.

``make chaos`` runs it and writes docs/reliability.md; ``make chaos ARGS=--short`` runs a form short enough for CI. A
row of the report is a :class:`chaos.row.Row` in :data:`chaos.rows.ROWS`; what it needs around it comes from
:class:`chaos.lab.Lab`.
"""

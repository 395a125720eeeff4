"""Queries that somebody asks once, over what was published: planned as views are, run as views are, at one time.

In: SQL text and values for its parameters. Out: columns of the result, in order, piece by piece.
Absent on purpose: sockets and how values are written; and a second executor: a query is operators over deltas (docs/adr/0007).
"""

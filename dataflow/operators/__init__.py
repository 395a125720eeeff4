"""The operators, one file each.

In: the deltas of an operator's inputs for one step. Out: its own delta for that step, and row errors.
Each has a frozen, printable spec (what) apart from the running operator (state). Absent on purpose: the graph, views, SQL.
"""

"""SQL text to a relational plan to a dataflow.

In: the columns of the sources and the SQL of the views. Out: a typed, printable plan and the dataflow that maintains it.
Absent on purpose: no data, no settings, no I/O, and no executor: every query becomes operators of `dataflow`.
"""

"""Reads at a completed tick: HTTP lookups, health, metrics.

In: the publication of the last completed tick. Out: answers, each with its timestamp.
Absent on purpose: reads never take a lock of the tick thread and never see a tick that is not complete.
"""

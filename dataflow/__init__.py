"""The engine: deltas in, deltas out, one tick at a time.

In: one delta for each source input. Out: one delta for each exported view, and the arrangements that reads probe.
Absent on purpose: no I/O, no clock, no SQL, no settings, no knowledge of Kafka. Time is a number that is handed in.
"""

"""Deltas out to Kafka, exactly once.

In: the delta of a view at each tick. Out: records in a topic, and a durable frontier that says up to which time.
Absent on purpose: no SQL, no state of views: what is not yet durable is recomputed after a restart, never stored here.
"""

"""Kafka in: partitions with offsets to Arrow rows to deltas, bound to ticks by the remap log.

In: topics. Out: for each tick, one delta for each source, and the durable binding of offsets to the tick's time.
Absent on purpose: no SQL, no views, no tick loop: `headwater` decides when a tick is.
"""

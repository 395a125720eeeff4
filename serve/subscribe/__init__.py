"""Changes as they happen: a view's or any query's, to as many readers as want them, from the deltas of the ticks.

    tick thread   Hub.hand_over(published, changes)
    hub's thread  collection.advance(tick) -> Stream.add(time, delta)    once for each collection, whatever its readers
    a door        Reader.take()                                          what is new, already written where others wrote it

Always true: the sum of what a reader got up to a progress is the collection at that time. The tick thread waits for nobody; a
reader that falls behind gets several times added up as one, and is ended when even those are too many bytes.
Absent on purpose: SQL's text (`serve.pg`), bytes of any protocol, sockets.
"""

"""The soak: real processes and a real broker under faults, for minutes or hours. `python -m tests.soak --minutes 60`.

A seed decides which fault comes when. The service (`workload`, started through `entry`, which can end it at a named point) reads
transfers that a transactional writer keeps producing; `faults` kills, stops and starves service and broker; `readers` read the
views as fast as they go through both doors; `oracle` recomputes every view from the topics and the remap log.
Always true: what holds in a run without faults must hold in every one of its moments:
- what was written to a table and acknowledged is there once after every kill, and a time that is read again shows what it did
  (`teller`);
- each read's total is 0, and no read is older than one that had been answered before it began;
- what a read at time t shows is the query over what the remap log bound up to t: nothing lost, doubled or torn;
- a read_committed reader that folds a sink's topic up to a recorded progress has exactly the view at that progress.
"""

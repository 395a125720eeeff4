"""The PostgreSQL wire: psql, drivers and BI tools read the views through it.

In: bytes of protocol 3.0. Out: rows of the last completed tick, read by `serve.sql`. `frontend`, `messages`, `scram`, `values` and
`rows` know bytes; `parse`, `copy`, `ddl`, `dml` and `words` the text of commands; `session` the protocol's order, `execute`
what a statement does, `write` what writes, `follow` subscriptions, `quick` reads by key from their bytes, `state` what a client
has prepared and set; only `connection` and `server` know sockets.
Absent on purpose: SQL (the planner's), and how what clients change becomes durable (`serve.sql.changes` says who does it).
"""

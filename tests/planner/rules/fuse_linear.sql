-- Queries over t and u (tests/planner/test_rules.py), and the plan that fuse_linear makes of each.

SELECT a + 1 AS b FROM (SELECT x AS a FROM t) s
=>
Project (t.x + (1)::bigint)
  Get t

SELECT a + a AS b FROM (SELECT x + 1 AS a FROM t) s
=>
Project ((t.x + (1)::bigint) + (t.x + (1)::bigint))
  Get t

SELECT a + a AS b FROM (SELECT x + 1 + y + 2 AS a FROM t) s
=>
Project (s.a + s.a)
  Project (((t.x + (1)::bigint) + (t.y)::bigint) + (2)::bigint)
    Get t

SELECT * FROM (SELECT * FROM t) s
=>
Get t

SELECT sum(a) AS s FROM (SELECT x + 1 AS a FROM t) s
=>
Reduce sum((t.x + (1)::bigint))
  Get t

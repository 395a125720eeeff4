-- after: push_filters extract_keys
-- Queries over t and u (tests/planner/test_rules.py), and the plan that order_joins makes of each.

SELECT a.x FROM t a, t b, u c WHERE a.x = c.x AND b.y = c.x
=>
Project a.x
  Project #0, #1, #2, #5, #6, #7, #3, #4
    Join c.x = b.y
      Join a.x = (c.x)::bigint
        Get t
        Get u
      Get t

SELECT a.x FROM t a JOIN u b ON a.x = b.x JOIN t c ON c.x = b.x
=>
Project a.x
  Join (b.x)::bigint = c.x
    Join a.x = (b.x)::bigint
      Get t
      Get u
    Get t

SELECT a.x FROM t a, u b, u c
=>
Project a.x
  Join every row with every row
    Join every row with every row
      Get t
      Get u
    Get u

SELECT a.m, b.n FROM (SELECT x, max(y) AS m FROM t GROUP BY x) a, (SELECT x, count(*) AS n FROM t GROUP BY x) b, (SELECT x, min(name) AS f FROM u GROUP BY x) c WHERE a.x = b.x AND b.x = c.x AND c.f = 'a'
=>
Project a.m, b.n
  Project #4, #5, #2, #3, #0, #1
    Join b.x = a.x
      Join (c.x)::bigint = b.x
        Project u.x, min(u.name)
          Filter (min(u.name) = 'a'::text)
            Reduce min(u.name) by u.x
              Get u
        Project t.x, count(*)
          Reduce count(*) by t.x
            Get t
      Project t.x, max(t.y)
        Reduce max(t.y) by t.x
          Get t

SELECT a.m, b.n FROM (SELECT x, max(y) AS m FROM t GROUP BY x) a, (SELECT x, count(*) AS n FROM t GROUP BY x) b, (SELECT x, y FROM t WHERE y = 1) c WHERE a.m = b.n AND b.x = c.x
=>
Project a.m, b.n
  Join b.x = c.x
    Join (a.m)::bigint = b.n
      Project t.x, max(t.y)
        Reduce max(t.y) by t.x
          Get t
      Project t.x, count(*)
        Reduce count(*) by t.x
          Get t
    Project t.x, t.y
      Filter (t.y = 1)
        Get t

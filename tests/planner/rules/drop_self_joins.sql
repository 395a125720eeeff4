-- after: simplify_outer_joins push_filters extract_keys
-- Queries over t and u (tests/planner/test_rules.py), and the plan that drop_self_joins makes of each.

SELECT a.n, b.m FROM (SELECT x, count(*) AS n, max(name) AS m FROM u GROUP BY x) a JOIN (SELECT x, count(*) AS n, max(name) AS m FROM u GROUP BY x) b ON b.x = a.x
=>
Project a.n, b.m
  Project #0, #1, #2, #3, #4, #5
    Project #0, #1, #2, #0, #1, #2
      Filter is_not_null(#0)
        Reduce count(*), max(u.name) by u.x
          Get u

SELECT a.n, b.m FROM (SELECT x, count(*) AS n, max(name) AS m FROM u GROUP BY x) a JOIN (SELECT x, count(*) AS n, max(name) AS m FROM u GROUP BY x) b ON b.x = a.x AND b.n = a.x WHERE a.m > 'a' AND b.n > 2
=>
Project a.n, b.m
  Project #0, #1, #2, #3, #4, #5
    Filter (b.n = (a.x)::bigint)
      Project #0, #1, #2, #0, #1, #2
        Filter (#2 > 'a'::text) AND (#1 > (2)::bigint) AND is_not_null(#0)
          Reduce count(*), max(u.name) by u.x
            Get u

SELECT a.n, b.m FROM (SELECT x, count(*) AS n, max(name) AS m FROM u GROUP BY x) a JOIN (SELECT x, count(*) AS n, max(name) AS m FROM u GROUP BY x) b ON b.n = a.n
=>
Project a.n, b.m
  Join b.n = a.n
    Project u.x, count(*), max(u.name)
      Reduce count(*), max(u.name) by u.x
        Get u
    Project u.x, count(*), max(u.name)
      Reduce count(*), max(u.name) by u.x
        Get u

SELECT a.n, t.y, b.m FROM (SELECT x, count(*) AS n, max(name) AS m FROM u GROUP BY x) a JOIN t ON t.y = a.x JOIN (SELECT x, count(*) AS n, max(name) AS m FROM u GROUP BY x) b ON b.x = a.x AND b.n = t.x
=>
Project a.n, t.y, b.m
  Project #0, #1, #2, #6, #7, #8, #3, #4, #5
    Join t.y = a.x AND b.n = t.x
      Project #0, #1, #2, #0, #1, #2
        Filter is_not_null(#0)
          Reduce count(*), max(u.name) by u.x
            Get u
      Get t

SELECT a.n, b.m, c.n AS o FROM (SELECT x, count(*) AS n, max(name) AS m FROM u GROUP BY x) a JOIN (SELECT x, count(*) AS n, max(name) AS m FROM u GROUP BY x) b ON b.x = a.x JOIN (SELECT x, count(*) AS n, max(name) AS m FROM u GROUP BY x) c ON c.x = b.x
=>
Project a.n, b.m, c.n
  Project #0, #1, #2, #3, #4, #5, #6, #7, #8
    Project #0, #1, #2, #3, #4, #5, #6, #7, #8
      Project #0, #1, #2, #0, #1, #2, #0, #1, #2
        Filter is_not_null(#0)
          Reduce count(*), max(u.name) by u.x
            Get u

SELECT a.y, b.x FROM t a JOIN t b ON b.x = a.x
=>
Project a.y, b.x
  Join b.x = a.x
    Get t
    Get t

-- after: push_filters extract_keys order_joins push_filters prune_columns
-- Queries over t and u (tests/planner/test_rules.py), and the plan that drop_redundant makes of each.

SELECT DISTINCT x, n FROM (SELECT x, count(*) AS n FROM t GROUP BY x) s
=>
Project s.x, s.n
  Project t.x, count(*)
    Reduce count(*) by t.x
      Project x
        Get t

SELECT DISTINCT x, y FROM t
=>
Distinct
  Project t.x, t.y
    Project x, y
      Get t

SELECT t.y FROM t LEFT JOIN (SELECT x, count(*) AS n FROM u GROUP BY x) s ON s.x = t.y
=>
Project t.y
  Project #0
    Project y
      Get t

SELECT t.y, s.n FROM t LEFT JOIN (SELECT x, count(*) AS n FROM u GROUP BY x) s ON s.x = t.y
=>
Project t.y, s.n
  Project #0, #2
    LeftJoin s.x = t.y
      Project y
        Get t
      Project u.x, count(*)
        Reduce count(*) by u.x
          Project x
            Get u

SELECT t.y FROM t LEFT JOIN u ON u.x = t.y
=>
Project t.y
  Project #0
    LeftJoin u.x = t.y
      Project y
        Get t
      Project x
        Get u

SELECT t.y FROM t LEFT JOIN (SELECT DISTINCT x FROM u) a ON a.x = t.y LEFT JOIN (SELECT max(x) AS m FROM u) b ON b.m > t.y
=>
Project t.y
  Project #0
    Project #0
      Project y
        Get t

SELECT t.y FROM t FULL JOIN (SELECT x, count(*) AS n FROM u GROUP BY x) s ON s.x = t.y
=>
Project t.y
  Project #0
    FullJoin s.x = t.y
      Project y
        Get t
      Project u.x
        Reduce by u.x
          Project x
            Get u

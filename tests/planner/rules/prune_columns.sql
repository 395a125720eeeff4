-- after: push_filters extract_keys order_joins
-- Queries over t and u (tests/planner/test_rules.py), and the plan that prune_columns makes of each.

SELECT x FROM t WHERE y > 1
=>
Project t.x
  Project #0
    Filter (t.y > 1)
      Project x, y
        Get t

SELECT t.y FROM t JOIN u ON t.x = u.x
=>
Project t.y
  Project #1
    Join t.x = (u.x)::bigint
      Project x, y
        Get t
      Project x
        Get u

SELECT s.n FROM (SELECT x, count(*) AS n, sum(y) AS s FROM t GROUP BY x) s
=>
Project s.n
  Project count(*)
    Project #1
      Reduce count(*) by t.x
        Project x
          Get t

SELECT s.x FROM (SELECT DISTINCT x, y FROM t) s
=>
Project s.x
  Project #0
    Distinct
      Project t.x, t.y
        Project x, y
          Get t

SELECT s.x FROM (SELECT x, y FROM t UNION ALL SELECT x, 1 FROM u) s
=>
Project s.x
  Project x
    Union
      Project t.x
        Project x
          Get t
      Project (u.x)::bigint
        Project x
          Get u

SELECT count(*) AS n FROM t
=>
Project count(*)
  Reduce count(*)
    Project 
      Get t

SELECT t.x FROM t LEFT JOIN u ON t.x = u.x AND t.y > 1
=>
Project t.x
  Project #0
    LeftJoin t.x = (u.x)::bigint AND (t.y > 1)
      Project x, y
        Get t
      Project x
        Get u

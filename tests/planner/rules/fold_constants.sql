-- Queries over t and u (tests/planner/test_rules.py), and the plan that fold_constants makes of each.

SELECT x + (1 + 2) AS y FROM t WHERE TRUE
=>
Project (t.x + 3)
  Get t

SELECT x FROM t WHERE x > 1 AND 1 = 2
=>
Constant

SELECT x FROM t WHERE x > 1 AND 1 < 2
=>
Project t.x
  Filter (t.x > 1)
    Get t

SELECT x FROM t WHERE x > 1 OR 1 = 1
=>
Project t.x
  Get t

SELECT CASE WHEN 1 = 2 THEN x WHEN 1 = 1 THEN x + 1 ELSE 0 END AS y FROM t
=>
Project (t.x + 1)
  Get t

SELECT x + 1 / 0 AS y FROM t
=>
Project (t.x + ((1 / 0))::bigint)
  Get t

SELECT 1 AS a UNION ALL SELECT 2 UNION ALL SELECT 3
=>
Constant (1), (2), (3)

SELECT x FROM t WHERE NULL
=>
Constant

SELECT x FROM t WHERE x = 1 AND x = 1
=>
Project t.x
  Filter (t.x = 1)
    Get t

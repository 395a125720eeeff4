-- after: push_filters
-- Queries over t and u (tests/planner/test_rules.py), and the plan that factor_conditions makes of each.

SELECT t.y, u.name FROM t, u WHERE (t.x = u.x AND t.y = 1) OR (t.x = u.x AND u.name = 'a')
=>
Project t.y, u.name
  Filter (t.x = (u.x)::bigint) AND or((t.y = 1), (u.name = 'a'::text))
    Join every row with every row
      Get t
      Get u

SELECT t.y, u.name FROM t, u WHERE t.x = u.x AND ((t.y = 1 AND u.name = 'a') OR (t.y = 2 AND u.name = 'b' AND t.x < u.x))
=>
Project t.y, u.name
  Filter (t.x = (u.x)::bigint) AND or(and((t.y = 1), (u.name = 'a'::text)), and((t.y = 2), (u.name = 'b'::text), (t.x < (u.x)::bigint))) AND or((t.y = 1), (t.y = 2)) AND or((u.name = 'a'::text), (u.name = 'b'::text))
    Join every row with every row
      Get t
      Get u

SELECT x FROM t WHERE (x = 1 AND y = 2) OR x = 1
=>
Project t.x
  Filter (t.x = (1)::bigint)
    Get t

SELECT x FROM t WHERE (x / y = 1 AND y = 2) OR (x / y = 1 AND y = 3)
=>
Project t.x
  Filter or(and(((t.x / (t.y)::bigint) = (1)::bigint), (t.y = 2)), and(((t.x / (t.y)::bigint) = (1)::bigint), (t.y = 3)))
    Get t

SELECT t.y FROM t, u WHERE (t.x / u.x = 1 AND 1 / t.y = 1) OR (t.x = u.x AND t.y = 2)
=>
Project t.y
  Filter or(and(((t.x / (u.x)::bigint) = (1)::bigint), ((1 / t.y) = 1)), and((t.x = (u.x)::bigint), (t.y = 2)))
    Join every row with every row
      Get t
      Get u

SELECT t.x FROM t LEFT JOIN u ON (t.x = u.x AND t.y = 1) OR (t.x = u.x AND u.name = 'a')
=>
Project t.x
  LeftJoin (t.x = (u.x)::bigint) AND or((t.y = 1), (u.name = 'a'::text))
    Get t
    Get u

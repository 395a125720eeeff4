-- after: push_filters
-- Queries over t and u (tests/planner/test_rules.py), and the plan that extract_keys makes of each.

SELECT t.x FROM t, u WHERE t.x = u.x AND t.y < u.x
=>
Project t.x
  Filter (t.y < u.x)
    Join t.x = (u.x)::bigint
      Get t
      Get u

SELECT t.x FROM t JOIN u ON t.x + 1 = u.x
=>
Project t.x
  Join (t.x + (1)::bigint) = (u.x)::bigint
    Get t
    Get u

SELECT t.x FROM t JOIN u ON t.price = u.x
=>
Project t.x
  Join t.price = ((u.x)::numeric)::numeric
    Get t
    Get u

SELECT t.x FROM t JOIN u USING (x)
=>
Project t.x
  Join t.x = (u.x)::bigint
    Get t
    Get u

SELECT t.x FROM t JOIN u ON t.x = t.y
=>
Project t.x
  Join every row with every row
    Filter (t.x = (t.y)::bigint)
      Get t
    Get u

SELECT t.x FROM t LEFT JOIN u ON t.x = u.x AND t.y > 1
=>
Project t.x
  LeftJoin t.x = (u.x)::bigint AND (t.y > 1)
    Get t
    Get u

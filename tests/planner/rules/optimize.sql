-- Queries over t and u (tests/planner/test_rules.py), and the plan that optimize makes of each.

SELECT u.name, sum(t.price) AS total FROM t, u WHERE t.x = u.x AND t.y > 1 + 1 AND u.name LIKE 'a%' GROUP BY u.name HAVING sum(t.price) > 10
=>
Filter (sum(t.price) > '10'::numeric)
  Reduce sum(t.price) by u.name
    Join t.x = (u.x)::bigint
      Project t.x, t.price
        Filter (t.y > 2)
          Get t
      Filter like(u.name, 'a%'::text)
        Get u

WITH a AS (SELECT x, y FROM t WHERE y > 1) SELECT p.x, q.y FROM a p JOIN a q ON p.x = q.x WHERE p.y < q.y
=>
Project t.x, t.y'
  Filter (t.y < t.y')
    Project t.x, t.y, t.y'
      Join t.x = t.x'
        Filter (t.y > 1)
          Project t.x, t.y
            Get t
        Filter (t.y > 1)
          Project t.x, t.y
            Get t

SELECT DISTINCT x FROM (SELECT x, y FROM t WHERE y IS NOT NULL) s WHERE x IN (1, 2)
=>
Distinct
  Project t.x
    Filter is_not_null(t.y) AND in(t.x, 1, 2)
      Project t.x, t.y
        Get t

-- Queries over t and u (tests/planner/test_rules.py), and the plan that simplify_outer_joins makes of each.

SELECT t.x, u.name FROM t LEFT JOIN u ON t.x = u.x WHERE u.name = 'a'
=>
Project t.x, u.name
  Filter (u.name = 'a'::text)
    Filter (t.x = (u.x)::bigint)
      Join every row with every row
        Get t
        Get u

SELECT t.x, u.name FROM t LEFT JOIN u ON t.x = u.x WHERE u.name IS NULL
=>
Project t.x, u.name
  Filter is_null(u.name)
    LeftJoin (t.x = (u.x)::bigint)
      Get t
      Get u

SELECT t.x, u.name FROM t LEFT JOIN u ON t.x = u.x AND t.y > 1 WHERE u.name = 'a' OR u.x > 3
=>
Project t.x, u.name
  Filter or((u.name = 'a'::text), (u.x > 3))
    Filter (t.x = (u.x)::bigint) AND (t.y > 1)
      Join every row with every row
        Get t
        Get u

SELECT t.x, v.name FROM t LEFT JOIN u ON t.x = u.x JOIN u v ON v.name = u.name
=>
Project t.x, v.name
  Filter (v.name = u.name)
    Join every row with every row
      Filter (t.x = (u.x)::bigint)
        Join every row with every row
          Get t
          Get u
      Get u

SELECT t.x, w.name FROM t LEFT JOIN (u LEFT JOIN u v ON v.x = u.x) ON t.x = v.x LEFT JOIN u w ON w.x = t.y
=>
Project t.x, w.name
  LeftJoin (w.x = t.y)
    LeftJoin (t.x = (v.x)::bigint)
      Get t
      Filter (v.x = u.x)
        Join every row with every row
          Get u
          Get u
    Get u

SELECT t.x, u.name FROM t FULL JOIN u ON t.x = u.x WHERE t.y > 1
=>
Project t.x, u.name
  Filter (t.y > 1)
    LeftJoin (t.x = (u.x)::bigint)
      Get t
      Get u

SELECT t.x, u.name FROM t FULL JOIN u ON t.x = u.x WHERE u.name = 'a'
=>
Project t.x, u.name
  Filter (u.name = 'a'::text)
    Project #2, #3, #4, #0, #1
      LeftJoin (t.x = (u.x)::bigint)
        Get u
        Get t

SELECT t.x, u.name FROM t FULL JOIN u ON t.x = u.x WHERE u.name = 'a' AND t.y > 1
=>
Project t.x, u.name
  Filter (u.name = 'a'::text) AND (t.y > 1)
    Filter (t.x = (u.x)::bigint)
      Join every row with every row
        Get t
        Get u

SELECT t.x, u.name FROM t FULL JOIN u ON t.x = u.x WHERE coalesce(t.x, u.x) > 1
=>
Project t.x, u.name
  Filter (coalesce(t.x, (u.x)::bigint) > (1)::bigint)
    FullJoin (t.x = (u.x)::bigint)
      Get t
      Get u

SELECT name, n FROM (SELECT u.name, count(*) AS n FROM t LEFT JOIN u ON t.x = u.x GROUP BY u.name) s WHERE name > 'a' AND n > 1
=>
Project s.name, s.n
  Filter (s.name > 'a'::text) AND (s.n > (1)::bigint)
    Project u.name, count(*)
      Reduce count(*) by u.name
        Filter (t.x = (u.x)::bigint)
          Join every row with every row
            Get t
            Get u

SELECT x FROM t WHERE EXISTS (SELECT 1 FROM u LEFT JOIN u v ON v.x = u.x WHERE v.name = 'a' AND u.x = t.y)
=>
Project t.x
  SemiJoin (u.x = t.y)
    Get t
    Filter (v.name = 'a'::text)
      Filter (v.x = u.x)
        Join every row with every row
          Get u
          Get u

SELECT s.r FROM (SELECT row_number() OVER (PARTITION BY u.name ORDER BY t.x) AS r, u.name, u.x FROM t LEFT JOIN u ON t.x = u.x) s WHERE s.name = 'a'
=>
Project s.r
  Filter (s.name = 'a'::text)
    Project row_number() over, u.name, u.x
      TopK all of #4 by #0 numbered
        Filter (t.x = (u.x)::bigint)
          Join every row with every row
            Get t
            Get u

SELECT s.r FROM (SELECT row_number() OVER (PARTITION BY t.y ORDER BY t.x) AS r, u.name FROM t LEFT JOIN u ON t.x = u.x) s WHERE s.name = 'a'
=>
Project s.r
  Filter (s.name = 'a'::text)
    Project row_number() over, u.name
      TopK all of #1 by #0 numbered
        LeftJoin (t.x = (u.x)::bigint)
          Get t
          Get u

SELECT t.x FROM t LEFT JOIN u ON t.x = u.x WHERE u.name IS NOT DISTINCT FROM 'a'
=>
Project t.x
  Filter is_not_distinct_from(u.name, 'a'::text)
    LeftJoin (t.x = (u.x)::bigint)
      Get t
      Get u

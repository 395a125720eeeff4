-- after: simplify_outer_joins
-- Queries over t and u (tests/planner/test_rules.py), and the plan that push_filters makes of each.

SELECT t.x FROM t, u WHERE t.x = u.x AND t.y > 1 AND u.name = 'a'
=>
Project t.x
  Filter (t.x = (u.x)::bigint)
    Join every row with every row
      Filter (t.y > 1)
        Get t
      Filter (u.name = 'a'::text)
        Get u

SELECT a FROM (SELECT x + 1 AS a FROM t) s WHERE a > 2
=>
Project s.a
  Project (t.x + (1)::bigint)
    Filter ((t.x + (1)::bigint) > (2)::bigint)
      Get t

SELECT x, n FROM (SELECT x, count(*) AS n FROM t GROUP BY x) s WHERE x > 1 AND n > 2
=>
Project s.x, s.n
  Project t.x, count(*)
    Filter (count(*) > (2)::bigint)
      Reduce count(*) by t.x
        Filter (t.x > (1)::bigint)
          Get t

SELECT x FROM (SELECT x FROM t UNION ALL SELECT y FROM t) s WHERE x > 1
=>
Project s.x
  Project x
    Union
      Project t.x
        Filter (t.x > (1)::bigint)
          Get t
      Project (t.y)::bigint
        Filter ((t.y)::bigint > (1)::bigint)
          Get t

SELECT x FROM (SELECT DISTINCT x FROM t) s WHERE x > 1
=>
Project s.x
  Distinct
    Project t.x
      Filter (t.x > (1)::bigint)
        Get t

SELECT t.x FROM t, u WHERE t.x = u.x AND 10 / t.y > 1
=>
Project t.x
  Filter (t.x = (u.x)::bigint) AND ((10 / t.y) > 1)
    Join every row with every row
      Get t
      Get u

SELECT x FROM (SELECT x FROM t EXCEPT SELECT x FROM u) s WHERE x > 1
=>
Project s.x
  Project x
    Distinct
      Union
        Distinct
          Project t.x
            Filter (t.x > (1)::bigint)
              Get t
        Negate
          Distinct
            Project (u.x)::bigint
              Filter ((u.x)::bigint > (1)::bigint)
                Get u

SELECT t.x, u.name FROM t LEFT JOIN u ON t.x = u.x AND u.name = 'a' WHERE t.y > 1
=>
Project t.x, u.name
  LeftJoin (t.x = (u.x)::bigint)
    Filter (t.y > 1)
      Get t
    Filter (u.name = 'a'::text)
      Get u

SELECT t.x, u.name FROM t LEFT JOIN u ON t.y = 1 AND t.x = u.x WHERE u.name = 'a'
=>
Project t.x, u.name
  Filter (t.x = (u.x)::bigint)
    Join every row with every row
      Filter (t.y = 1)
        Get t
      Filter (u.name = 'a'::text)
        Get u

SELECT t.x, u.name FROM t LEFT JOIN u ON t.x = u.x WHERE u.name IS NULL
=>
Project t.x, u.name
  Filter is_null(u.name)
    LeftJoin (t.x = (u.x)::bigint)
      Get t
      Get u

SELECT t.x, u.name FROM t FULL JOIN u ON t.x = u.x WHERE u.name = 'a'
=>
Project t.x, u.name
  Project #2, #3, #4, #0, #1
    LeftJoin (t.x = (u.x)::bigint)
      Filter (#1 = 'a'::text)
        Get u
      Get t

SELECT t.x, u.name FROM t FULL JOIN u ON t.x = u.x WHERE t.y > 1
=>
Project t.x, u.name
  LeftJoin (t.x = (u.x)::bigint)
    Filter (t.y > 1)
      Get t
    Get u

SELECT t.x, u.name FROM t FULL JOIN u ON t.x = u.x WHERE coalesce(t.y, 1) > 1
=>
Project t.x, u.name
  Filter (coalesce(t.y, 1) > 1)
    FullJoin (t.x = (u.x)::bigint)
      Get t
      Get u

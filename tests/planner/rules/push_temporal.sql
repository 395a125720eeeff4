-- after: push_filters
-- Queries over t and u (tests/planner/test_rules.py), and the plan that push_temporal makes of each.

SELECT t.x, u.name FROM t JOIN u ON t.x = u.x WHERE mz_now() < t.x + 5 AND t.y > 1
=>
Project t.x, u.name
  Filter (t.x = (u.x)::bigint)
    Join every row with every row
      TemporalFilter mz_now() < (t.x + (5)::bigint)
        Filter (t.y > 1)
          Get t
      Get u

SELECT t.x FROM t LEFT JOIN u ON t.x = u.x WHERE mz_now() >= t.x AND mz_now() < u.x
=>
Project t.x
  TemporalFilter mz_now() < (u.x)::bigint
    LeftJoin (t.x = (u.x)::bigint)
      TemporalFilter mz_now() >= t.x
        Get t
      Get u

SELECT a FROM (SELECT x + 1 AS a FROM t UNION ALL SELECT x FROM u) v WHERE mz_now() <= a
=>
Project v.a
  Project a
    Union
      Project (t.x + (1)::bigint)
        TemporalFilter mz_now() <= (t.x + (1)::bigint)
          Get t
      Project (u.x)::bigint
        TemporalFilter mz_now() <= (u.x)::bigint
          Get u

SELECT t.x, i FROM t, generate_series(1, t.y) AS i WHERE mz_now() < t.x AND mz_now() < t.x + i
=>
Project t.x, i.i
  TemporalFilter mz_now() < (t.x + (i.i)::bigint)
    FlatMap generate_series(1, #1)
      TemporalFilter mz_now() < t.x
        Get t

SELECT x FROM (SELECT DISTINCT x FROM t) v WHERE mz_now() < x
=>
Project v.x
  TemporalFilter mz_now() < v.x
    Distinct
      Project t.x
        Get t

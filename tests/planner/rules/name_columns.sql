-- Queries over t and u (tests/planner/test_rules.py), and the plan that name_columns makes of each.

SELECT z.x FROM t AS z WHERE z.y > 1
=>
Project t.x
  Filter (t.y > 1)
    Get t

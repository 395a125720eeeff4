-- after: push_filters extract_keys
-- Queries over t and u (tests/planner/test_rules.py), and the plan that order_joins makes of each.

SELECT a.x FROM t a, t b, u c WHERE a.x = c.x AND b.y = c.x
=>
Project a.x
  Project #0, #1, #2, #5, #6, #7, #3, #4
    Join c.x = b.y
      Join a.x = (c.x)::bigint
        Get t
        Get u
      Get t

SELECT a.x FROM t a JOIN u b ON a.x = b.x JOIN t c ON c.x = b.x
=>
Project a.x
  Join (b.x)::bigint = c.x
    Join a.x = (b.x)::bigint
      Get t
      Get u
    Get t

SELECT a.x FROM t a, u b, u c
=>
Project a.x
  Join every row with every row
    Join every row with every row
      Get t
      Get u
    Get u

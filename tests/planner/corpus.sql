-- Queries over the tables of tests/planner/oracle.py. One query to a block, blocks are apart by an empty line.
-- A block that starts with "-- postgres" is compared with PostgreSQL alone: DuckDB means something else by it.

SELECT * FROM orders

SELECT id, customer FROM orders

SELECT id, day FROM orders WHERE day <= DATE '2026-01-05' - INTERVAL '2' DAY

SELECT id, day - INTERVAL '1' MONTH AS a, placed + INTERVAL '1 day 02:30' AS b, INTERVAL '90' DAY AS c FROM orders

SELECT o.id, o.day + c.id * INTERVAL '1 day' AS d FROM orders o JOIN customers c ON o.customer = c.id

-- postgres: DuckDB bins and breaks down intervals by other rules
SELECT id, span, placed - TIMESTAMPTZ '2026-01-02 10:00+00' AS interval, age(placed, TIMESTAMPTZ '2026-01-03') AS g,
  date_bin(INTERVAL '15 minutes', placed, TIMESTAMPTZ '2001-01-01') AS b, extract(epoch FROM placed - day) AS e
FROM (SELECT *, qty * INTERVAL '1.5 days' AS span FROM orders) x

-- postgres: DuckDB tells 30 days from a month
SELECT qty * INTERVAL '1 month' AS i, count(*) AS n FROM orders GROUP BY 1 HAVING qty * INTERVAL '1 month' < '100 days'

-- postgres
SELECT id, INTERVAL '1 day 02:03:04' HOUR AS a, INTERVAL '0-2' YEAR TO MONTH AS b, INTERVAL '1.5 days', '2h'::interval AS c FROM orders

-- postgres: DuckDB passes over lengths
SELECT id, region::char(6) AS a, name::varchar(2) AS b FROM customers WHERE region::char(6) = 'eu  '

-- postgres: DuckDB pads no char
SELECT region::char(6) AS c, count(*) AS n, region::char(6) LIKE 'eu' AS a, region::char(6) || '!' AS d FROM customers GROUP BY 1

-- postgres: DuckDB passes over lengths
SELECT id FROM orders o WHERE note::char(9) = ANY (SELECT region::varchar(3) FROM customers)

-- postgres: DuckDB's types of times differ
SELECT id, placed::time AS t, placed::time + INTERVAL '90 minutes' AS b, day + placed::time AS d,
  placed::time - TIME '08:00' AS e FROM orders WHERE placed::time > '10:30'

SELECT md5(note)::uuid AS u, count(*) AS n FROM orders GROUP BY md5(note)::uuid

SELECT o.* FROM orders o

SELECT o.qty, c.* FROM orders o JOIN customers c ON o.customer = c.id

SELECT id AS a, qty b FROM orders AS o

SELECT id FROM orders WHERE qty > 2

SELECT id FROM orders WHERE qty > 2 AND amount < 10.5 OR ok

SELECT id FROM orders WHERE NOT (qty > 2 AND ok)

SELECT id FROM orders WHERE qty IS NULL

SELECT id FROM orders WHERE qty IS NOT NULL AND note IS NULL

SELECT id FROM orders WHERE ok IS TRUE

SELECT id, ok IS NOT TRUE AS a, ok IS FALSE AS b, ok IS NOT FALSE AS c FROM orders

-- postgres: DuckDB has no IS UNKNOWN
SELECT id, ok IS UNKNOWN AS a, ok IS NOT UNKNOWN AS b FROM orders

SELECT id, qty IS DISTINCT FROM 2 AS a, qty IS NOT DISTINCT FROM NULL AS b FROM orders

SELECT id FROM orders WHERE qty BETWEEN 1 AND 3

SELECT id FROM orders WHERE qty NOT BETWEEN 1 AND 3

-- postgres: DuckDB has no BETWEEN SYMMETRIC
SELECT id FROM orders WHERE qty BETWEEN SYMMETRIC 3 AND 1

SELECT id FROM orders WHERE qty IN (1, 3, 5)

SELECT id FROM orders WHERE qty NOT IN (1, 3)

SELECT id FROM orders WHERE qty NOT IN (1, NULL)

SELECT id FROM orders WHERE note IN ('red', 'blue')

SELECT id FROM orders WHERE note LIKE 'r%' OR note LIKE '%ee_'

SELECT id FROM orders WHERE note NOT LIKE 'r%'

SELECT id FROM orders WHERE note ILIKE 'R%'

SELECT id FROM orders WHERE note LIKE 'a!%b' ESCAPE '!'

SELECT id, CASE WHEN qty > 3 THEN 'many' WHEN qty > 1 THEN 'some' END AS size FROM orders

SELECT id, CASE qty WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE 'other' END AS word FROM orders

SELECT id, CASE WHEN ok THEN qty ELSE amount END AS x FROM orders

SELECT id, coalesce(qty, 0) AS q, coalesce(note, customer::text, 'none') AS n FROM orders

SELECT id, nullif(qty, 2) AS a, nullif(note, 'red') AS b FROM orders

-- postgres: greatest and least skip NULL
SELECT id, greatest(qty, 2, customer) AS a, least(amount, 5) AS b FROM orders

SELECT id, qty + 1 AS a, qty * 2 - customer AS b, -qty AS c FROM orders

SELECT id, amount + qty AS a, amount * 2 AS b, amount * 1.5 AS c, amount - 0.25 AS d FROM orders

SELECT id, price + qty AS a, price * amount AS b, price / 2 AS c FROM orders

-- postgres: DuckDB's / is a float division
SELECT id, qty / 2 AS a, -qty / 2 AS b, qty % 3 AS c, -qty % 3 AS d, amount / 3 AS e FROM orders

SELECT id, amount::int AS a, amount::bigint AS b, amount::numeric(10,1) AS c FROM orders

SELECT id, nullif(price, 'NaN')::numeric(10,2) AS a, qty::double precision AS b, CAST(qty AS text) AS c FROM orders

-- postgres: floats round half to even
SELECT id, nullif(price, 'NaN')::int AS a, price::real AS b, price::text AS c, amount::text AS d, ok::text AS e FROM orders

SELECT id, '12'::int + qty AS a, '1.5'::numeric(3,1) AS b, 'true'::boolean AS c FROM orders

SELECT id, ok::int AS a, qty::boolean AS b FROM orders

SELECT id, day::timestamp AS a, placed::date AS b FROM orders

SELECT id FROM orders WHERE placed > '2026-01-02' AND day <= DATE '2026-01-03'

SELECT id FROM orders WHERE placed >= TIMESTAMP WITH TIME ZONE '2026-01-02 00:00:00+00'

SELECT id, day + 1 AS tomorrow, day - DATE '2026-01-01' AS days FROM orders

SELECT id, date_trunc('day', placed) AS d, date_trunc('hour', placed) AS h FROM orders

-- postgres: extract gives numeric
SELECT id, extract(year FROM placed) AS y, extract(epoch FROM placed) AS e, date_part('day', day) AS d FROM orders

-- postgres: AT TIME ZONE
SELECT id, placed AT TIME ZONE 'UTC' AS t FROM orders

SELECT id, upper(note) AS u, lower(note) AS l, length(note) AS n, note || '!' AS b FROM orders

SELECT id, substring(note FROM 1 FOR 2) AS s, left(note, 1) AS l, trim(note) AS t, position('e' IN note) AS p FROM orders

SELECT id, replace(note, 'e', 'x') AS r, concat(note, '-', qty) AS c FROM orders

SELECT id, abs(qty - 3) AS a, round(amount, 1) AS r, floor(amount) AS f, ceil(price) AS c FROM orders

-- postgres: jsonb
SELECT id, doc -> 'a' AS a, doc ->> 'b' AS b, doc -> 'list' -> 0 AS c FROM orders

-- postgres: jsonb
SELECT id FROM orders WHERE doc ->> 'b' = 'x' AND (doc ->> 'a')::int > 1

-- postgres: jsonb
SELECT doc ->> 'b' AS b, count(*) FROM orders GROUP BY doc ->> 'b'

SELECT DISTINCT customer FROM orders

SELECT DISTINCT qty, note FROM orders WHERE ok

SELECT count(*) FROM orders

SELECT count(*) AS n, count(qty) AS q, count(note) AS t FROM orders

SELECT sum(qty) AS s, avg(qty) AS a, min(qty) AS lo, max(qty) AS hi FROM orders

SELECT sum(amount) AS s, avg(amount) AS a, min(amount) AS lo, max(amount) AS hi FROM orders

SELECT sum(price) AS s, avg(price) AS a, min(price) AS lo, max(price) AS hi FROM orders

SELECT sum(id) AS s, avg(id) AS a, max(id) - min(id) AS spread FROM orders

SELECT min(note) AS a, max(note) AS b, min(placed) AS c, max(placed) AS d, min(day) AS e, max(day) AS f FROM orders

SELECT count(*) AS n, sum(qty) AS s FROM orders WHERE id < 0

SELECT customer, count(*) FROM orders GROUP BY customer

SELECT customer, sum(amount) AS total, count(*) AS orders FROM orders GROUP BY customer

SELECT customer, sum(amount) / count(*) AS mean FROM orders WHERE amount IS NOT NULL GROUP BY customer

SELECT customer, qty, max(price) AS p FROM orders GROUP BY customer, qty

SELECT customer, qty + 1 AS q, count(*) FROM orders GROUP BY 1, 2

SELECT qty % 2 = 0 AS even, sum(amount) FROM orders GROUP BY even

SELECT coalesce(note, 'none') AS note, count(*) AS n FROM orders GROUP BY coalesce(note, 'none')

SELECT customer FROM orders GROUP BY customer

SELECT customer, count(*) + 1 AS n, sum(qty) * 2 + min(qty) AS x FROM orders GROUP BY customer

SELECT customer, sum(qty + 1) AS a, sum(qty) + 1 AS b, avg(amount * 2) AS c FROM orders GROUP BY customer

SELECT customer, count(*) AS n FROM orders GROUP BY customer HAVING count(*) > 1

SELECT customer FROM orders GROUP BY customer HAVING sum(amount) > 20 AND min(qty) < 3

SELECT sum(qty) AS s FROM orders HAVING count(*) > 3

SELECT customer, count(*) FILTER (WHERE ok) AS a, sum(qty) FILTER (WHERE qty > 1) AS b FROM orders GROUP BY customer

SELECT customer, sum(CASE WHEN ok THEN amount ELSE 0 END) AS x FROM orders GROUP BY customer

SELECT customer, CASE WHEN count(*) > 2 THEN 'many' ELSE 'few' END AS size FROM orders GROUP BY customer

SELECT customer, max(placed) AS last, min(DISTINCT qty) AS q FROM orders GROUP BY customer HAVING max(placed) IS NOT NULL

SELECT ok, note, count(*) AS n, sum(price) AS p FROM orders GROUP BY ok, note

SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id

SELECT o.id, c.name FROM orders o INNER JOIN customers c ON c.id = o.customer AND c.region = 'eu' WHERE o.qty > 1

SELECT o.id, c.name FROM orders o, customers c WHERE o.customer = c.id AND o.amount > c.credit

SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id AND o.amount > c.credit

SELECT o.id, c.name FROM orders o CROSS JOIN customers c WHERE o.qty > 3

SELECT o.id, c.id AS c FROM orders o JOIN customers c ON o.qty < c.id

SELECT a.id, b.id AS other FROM orders a JOIN orders b ON a.customer = b.customer AND a.id < b.id

SELECT a.id, b.id AS other, c.id AS third FROM orders a, orders b, orders c WHERE a.qty = b.qty AND b.qty = c.qty AND a.id < b.id AND b.id < c.id

SELECT id, name, v FROM customers JOIN events USING (id)

SELECT * FROM customers JOIN events USING (id)

SELECT o.id, c.name, e.v FROM orders o JOIN customers c ON o.customer = c.id JOIN events e ON e.id = c.id

SELECT o.id, c.name, e.v FROM orders o, events e, customers c WHERE o.customer = c.id AND e.id = c.id AND e.v > 1

SELECT c.region, sum(o.amount) AS total, count(*) AS n FROM orders o JOIN customers c ON o.customer = c.id GROUP BY c.region

SELECT c.region, count(*) AS n FROM customers c JOIN events e USING (id) JOIN orders o USING (id) GROUP BY c.region HAVING count(*) > 1

SELECT o.id, c.id AS c FROM orders o JOIN customers c ON o.qty + 1 = c.id

SELECT o.id, e.id AS e FROM orders o JOIN events e ON o.amount = e.w

SELECT o.id, c.id AS c FROM orders o JOIN customers c ON o.note = c.name OR o.customer = c.id

SELECT o.id, c.id AS c FROM orders o JOIN customers c ON o.note IS NOT DISTINCT FROM c.region

SELECT count(*) AS n FROM orders, customers

SELECT x.a, x.b FROM (SELECT id AS a, qty + 1 AS b FROM orders WHERE ok) AS x WHERE x.b > 2

SELECT a FROM (SELECT b AS a FROM (SELECT id + 1 AS b FROM orders) x WHERE b > 2) y

SELECT x.customer, x.n, c.name FROM (SELECT customer, count(*) AS n FROM orders GROUP BY customer) x JOIN customers c ON c.id = x.customer

SELECT max(n) AS most FROM (SELECT customer, count(*) AS n FROM orders GROUP BY customer) x

SELECT q, count(*) AS n FROM (SELECT DISTINCT customer, qty AS q FROM orders) x GROUP BY q

SELECT x, y + 1 AS z FROM (SELECT id, qty FROM orders) AS t (x, y)

WITH big AS (SELECT * FROM orders WHERE amount > 5) SELECT customer, count(*) AS n FROM big GROUP BY customer

WITH a AS (SELECT id, customer FROM orders), b (c, n) AS (SELECT customer, count(*) FROM a GROUP BY customer) SELECT a.id, b.n FROM a JOIN b ON a.customer = b.c

WITH t AS (SELECT customer, sum(amount) AS s FROM orders GROUP BY customer) SELECT a.customer, b.customer AS other FROM t a JOIN t b ON a.s > b.s

SELECT id FROM orders UNION ALL SELECT id FROM customers

SELECT id FROM orders UNION SELECT id FROM customers

SELECT customer FROM orders UNION SELECT qty FROM orders UNION ALL SELECT id FROM customers

SELECT id, note FROM orders UNION ALL SELECT id, NULL FROM customers

SELECT qty AS x FROM orders UNION ALL SELECT amount FROM orders

SELECT customer FROM orders EXCEPT SELECT id FROM customers

SELECT customer FROM orders INTERSECT SELECT id FROM customers

SELECT id FROM customers EXCEPT SELECT customer FROM orders WHERE ok

(SELECT id FROM orders WHERE ok) UNION ALL (SELECT id FROM orders WHERE NOT ok)

SELECT 'order' AS kind, id FROM orders UNION ALL SELECT 'customer', id FROM customers

SELECT 1 AS one

SELECT 1 AS a, 'x' AS b, NULL AS c, 2.50 AS d, TRUE AS e

SELECT 1 + 2 AS a, 3.0 * 2 AS b, 'a' || 'b' AS c WHERE 1 < 2

SELECT 1 AS a WHERE FALSE

SELECT count(*) AS n FROM (SELECT 1 AS x) t

SELECT o.id, v.word FROM orders o JOIN (VALUES (1, 'one'), (2, 'two')) AS v (n, word) ON o.qty = v.n

SELECT o.id FROM (orders o JOIN customers c ON o.customer = c.id) JOIN events e ON e.id = o.id

SELECT id FROM orders WHERE customer = 1 AND customer = 2

SELECT name, region FROM customers WHERE since < '2026-06-01' AND credit >= 1.25

SELECT region, avg(credit) AS c, min(since) AS s FROM customers GROUP BY region

SELECT id FROM orders WHERE price = 'NaN' OR price > 1e1

SELECT price, count(*) AS n FROM orders GROUP BY price

SELECT o.id, e.id AS e FROM orders o JOIN events e ON o.price = e.x

SELECT DISTINCT amount, price FROM orders

SELECT w, count(*) AS n, sum(w) AS s FROM events GROUP BY w

-- postgres: output names of expressions
SELECT count(*), sum(qty), max(id) FROM orders

-- postgres: output names of expressions
SELECT CASE WHEN ok THEN 1 END, coalesce(qty, 1), qty::bigint, upper(note), id + 1 FROM orders

SELECT customer, qty, count(*) AS n FROM orders GROUP BY (customer, qty)

SELECT count(*) AS n FROM orders WHERE id > 3 GROUP BY ()

SELECT 1 AS one FROM orders HAVING TRUE

SELECT 1 AS one FROM (SELECT sum(qty) AS s FROM orders) AS t

SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id

SELECT o.id, c.name FROM orders o RIGHT JOIN customers c ON o.customer = c.id

SELECT o.id, c.id AS c, c.name FROM orders o FULL OUTER JOIN customers c ON o.customer = c.id

SELECT o.id, c.id AS c FROM orders o LEFT JOIN customers c ON o.customer = c.id AND o.amount > c.credit

SELECT o.id, c.id AS c FROM orders o RIGHT OUTER JOIN customers c ON o.customer = c.id AND o.qty > 2

SELECT o.id, c.id AS c FROM customers c FULL JOIN orders o ON o.customer = c.id AND o.qty > c.id

SELECT o.id, c.id AS c FROM orders o LEFT JOIN customers c ON o.customer = c.id AND c.region = 'eu' AND o.ok

SELECT o.id, c.id AS c FROM orders o LEFT JOIN customers c ON o.qty < c.id

SELECT o.id, c.id AS c FROM orders o LEFT JOIN customers c ON TRUE

SELECT o.id, c.id AS c FROM orders o LEFT JOIN customers c ON FALSE

SELECT o.id, c.id AS c FROM orders o LEFT JOIN customers c ON o.ok WHERE o.qty > 2

SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id WHERE c.id IS NULL

SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id WHERE c.region = 'eu' AND o.qty > 1

SELECT o.id, c.name FROM orders o FULL JOIN customers c ON o.customer = c.id WHERE c.region = 'eu'

SELECT o.id, c.name FROM orders o FULL JOIN customers c ON o.customer = c.id WHERE o.qty > 1

SELECT o.id, c.name FROM orders o FULL JOIN customers c ON o.customer = c.id WHERE o.qty > c.id OR o.qty IS NULL AND c.name = 'red'

SELECT o.id, c.name FROM orders o FULL JOIN customers c ON o.customer = c.id AND o.qty < c.id WHERE o.qty < 4 AND c.id > 1

SELECT o.id, c.name, e.v FROM orders o LEFT JOIN customers c ON o.customer = c.id LEFT JOIN events e ON e.id = c.id AND e.v > 1

SELECT o.id, c.name, e.v FROM orders o LEFT JOIN (customers c JOIN events e ON e.id = c.id) ON o.customer = c.id

SELECT o.id, c.name, e.v FROM orders o JOIN customers c ON o.customer = c.id RIGHT JOIN events e ON e.id = o.qty

SELECT c.region, count(o.id) AS n, sum(o.amount) AS s FROM customers c LEFT JOIN orders o ON o.customer = c.id GROUP BY c.region

SELECT count(*) AS n, count(c.id) AS c FROM orders o LEFT JOIN customers c ON o.customer = c.id

SELECT o.id, x.n FROM orders o LEFT JOIN (SELECT customer, count(*) AS n FROM orders GROUP BY customer) x ON x.customer = o.qty

SELECT a.id, b.id AS other FROM orders a LEFT JOIN orders b ON a.customer = b.customer AND a.id < b.id

SELECT id, name, v FROM customers LEFT JOIN events USING (id)

SELECT id, name, v FROM customers RIGHT JOIN events USING (id)

SELECT * FROM customers FULL JOIN events USING (id)

SELECT id, customers.id AS a, events.id AS b FROM customers FULL JOIN events USING (id) WHERE id > 1

SELECT id, count(*) AS n FROM customers FULL JOIN events USING (id) FULL JOIN orders USING (id) GROUP BY id

SELECT * FROM customers NATURAL JOIN events

SELECT * FROM customers NATURAL LEFT JOIN events

SELECT * FROM events NATURAL FULL JOIN (SELECT id, region FROM customers) c

SELECT v, q FROM (SELECT qty AS v, note AS q FROM orders) o NATURAL JOIN events

SELECT k FROM (SELECT qty AS k FROM orders) a JOIN (SELECT id AS k FROM events) b USING (k)

SELECT k, a.k AS x, b.k AS y FROM (SELECT qty AS k FROM orders) a FULL JOIN (SELECT amount AS k FROM orders) b USING (k)

SELECT o.id, e.id AS e FROM orders o LEFT JOIN events e ON o.price = e.x AND o.note IS DISTINCT FROM 'red'

SELECT o.qty, e.v FROM (SELECT DISTINCT qty FROM orders) o FULL JOIN (SELECT DISTINCT v FROM events) e ON o.qty = e.v

SELECT count(*) AS n FROM events a LEFT JOIN events b ON a.id = b.v LEFT JOIN events c ON b.id = c.v LEFT JOIN events d ON c.id = d.v

SELECT id, qty FROM orders ORDER BY qty, id

SELECT id, qty, note, day FROM orders ORDER BY qty DESC, id, note, day LIMIT 3

SELECT id FROM orders ORDER BY id LIMIT 2 OFFSET 1

SELECT id, qty FROM orders ORDER BY qty DESC NULLS LAST, 1 OFFSET 3

SELECT id, amount FROM orders ORDER BY amount NULLS FIRST, id FETCH FIRST 4 ROWS ONLY

SELECT id FROM orders ORDER BY id FETCH NEXT ROW ONLY

SELECT id FROM orders LIMIT ALL

SELECT id FROM orders ORDER BY id LIMIT NULL OFFSET 0

SELECT id FROM orders LIMIT 0

SELECT id, qty + 1 AS q FROM orders ORDER BY q DESC, id LIMIT 2 + 1

SELECT qty FROM orders ORDER BY qty - 3 * qty, qty LIMIT 4

SELECT price FROM orders ORDER BY price DESC LIMIT 3

SELECT placed, note FROM orders ORDER BY placed, note LIMIT 3

SELECT customer, sum(qty) AS s FROM orders GROUP BY customer ORDER BY s DESC, customer LIMIT 2

SELECT customer FROM orders GROUP BY customer ORDER BY count(*) DESC, customer LIMIT 2

SELECT DISTINCT qty FROM orders ORDER BY qty DESC LIMIT 2

SELECT DISTINCT ON (customer) customer, id, qty FROM orders ORDER BY customer, qty DESC, id

SELECT DISTINCT ON (customer, ok) customer, ok, id FROM orders ORDER BY ok, customer, id

SELECT DISTINCT ON (qty % 2) qty, id FROM orders ORDER BY qty % 2, qty, id

SELECT DISTINCT ON (1) note, amount FROM orders ORDER BY note, amount LIMIT 3

SELECT DISTINCT ON (region) region, name FROM customers ORDER BY region, name

SELECT count(*) AS n, sum(qty) AS s FROM (SELECT id, qty FROM orders ORDER BY id, qty LIMIT 3) x

SELECT count(*) AS n FROM (SELECT id FROM orders LIMIT 3) x

SELECT x.id, c.name FROM (SELECT id, customer FROM orders ORDER BY id DESC, customer LIMIT 4) x JOIN customers c ON c.id = x.customer

SELECT id FROM orders UNION ALL SELECT id FROM customers ORDER BY id DESC LIMIT 5

(SELECT id FROM orders ORDER BY id LIMIT 2) UNION ALL (SELECT id FROM customers ORDER BY id DESC LIMIT 2)

WITH best AS (SELECT id, qty FROM orders WHERE ok ORDER BY qty DESC, id LIMIT 3) SELECT count(*) AS n, min(qty) AS q FROM best

SELECT id FROM (SELECT id, qty FROM orders ORDER BY qty, id LIMIT 5) x WHERE qty > 1

SELECT v FROM (VALUES (3), (1), (2)) AS x (v) ORDER BY v LIMIT 2

SELECT customer, id, n FROM (SELECT customer, id, row_number() OVER (PARTITION BY customer ORDER BY id) AS n FROM orders) x WHERE n <= 2

SELECT customer, qty FROM (SELECT customer, qty, row_number() OVER (PARTITION BY customer ORDER BY qty DESC, id) AS n FROM orders) x WHERE n = 1

SELECT qty, row_number() OVER (ORDER BY qty) AS n FROM orders

SELECT id, row_number() OVER (PARTITION BY id) AS n FROM events

SELECT customer, count(*) AS n, row_number() OVER (ORDER BY count(*) DESC, customer) AS place FROM orders GROUP BY customer

SELECT id, row_number() OVER (PARTITION BY qty % 2 ORDER BY id, price) + 1 AS n FROM (SELECT DISTINCT id, qty, price FROM orders) x

-- postgres: output names
SELECT row_number() OVER (ORDER BY id) FROM orders

SELECT id FROM orders WHERE customer IN (SELECT id FROM customers)

SELECT id FROM orders WHERE customer NOT IN (SELECT id FROM customers)

SELECT id FROM orders WHERE customer IN (SELECT v FROM events)

SELECT id FROM orders WHERE customer NOT IN (SELECT v FROM events)

SELECT id FROM orders WHERE customer NOT IN (SELECT v FROM events WHERE v IS NOT NULL)

SELECT id FROM orders WHERE customer NOT IN (SELECT v FROM events WHERE id < 0)

SELECT id FROM orders WHERE qty IN (SELECT amount FROM orders) OR qty > 3

SELECT id, customer IN (SELECT v FROM events) AS a, customer NOT IN (SELECT id FROM customers) AS b FROM orders

SELECT id, 3 IN (SELECT v FROM events WHERE v IS NOT NULL) AS a, NULL IN (SELECT id FROM customers) AS b FROM orders

SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM customers)

SELECT id FROM orders WHERE NOT EXISTS (SELECT 1 FROM customers WHERE region = 'eu')

SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer)

SELECT id FROM orders o WHERE NOT EXISTS (SELECT * FROM customers c WHERE c.id = o.customer AND c.credit < o.amount)

SELECT id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM orders p WHERE p.customer = o.customer AND p.id > o.id)

SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id < o.qty) AND NOT EXISTS (SELECT 1 FROM events e WHERE e.v = o.qty)

SELECT id FROM orders o WHERE o.ok AND (EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer) OR o.qty = 2)

SELECT id FROM orders o WHERE EXISTS (SELECT count(*) FROM customers c WHERE c.id = o.customer HAVING count(*) > 1)

SELECT id FROM orders o WHERE EXISTS (SELECT c.id FROM customers c WHERE c.region = o.note UNION SELECT e.id FROM events e WHERE e.v = o.qty)

SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c LEFT JOIN events e ON e.id = c.id AND e.v = o.qty WHERE e.id IS NULL)

SELECT id, EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer) AS known FROM orders o

SELECT id FROM orders o WHERE customer IN (SELECT c.id FROM customers c WHERE c.credit > o.qty)

SELECT id FROM orders o WHERE qty NOT IN (SELECT e.v FROM events e WHERE e.id = o.id)

SELECT id FROM orders o WHERE (SELECT count(*) FROM events e WHERE e.id = o.id) > 1

SELECT id, (SELECT max(credit) FROM customers) AS m FROM orders

SELECT id FROM orders WHERE amount > (SELECT avg(amount) FROM orders)

SELECT id, (SELECT name FROM customers WHERE id < 0) AS n FROM orders

SELECT id, (SELECT count(*) FROM customers c WHERE c.id = o.customer) AS n, (SELECT sum(v) FROM events e WHERE e.id = o.id) AS s FROM orders o

SELECT id, (SELECT max(c.name) || 'x' FROM customers c WHERE c.id = o.customer AND c.credit > o.qty) AS n FROM orders o

SELECT id, (SELECT count(*) + o.qty FROM customers c WHERE c.id <> o.customer) AS n FROM orders o

SELECT id, (SELECT c.name FROM customers c WHERE c.id = o.customer ORDER BY c.name, c.credit LIMIT 1) AS n FROM orders o

SELECT id, (SELECT x.n FROM (SELECT count(*) AS n FROM customers c WHERE c.id = o.customer) x) AS n FROM orders o

SELECT id, (SELECT DISTINCT 1 FROM customers c WHERE c.id >= o.customer) AS n FROM orders o

SELECT customer, (SELECT max(name) FROM customers c WHERE c.id = o.customer) AS n, count(*) AS k FROM orders o GROUP BY customer

SELECT customer FROM orders o GROUP BY customer HAVING count(*) > (SELECT count(*) FROM customers c WHERE c.id = o.customer)

SELECT max((SELECT count(*) FROM customers c WHERE c.id = o.customer)) AS most FROM orders o

SELECT id FROM orders o WHERE amount = (SELECT max(p.amount) FROM orders p WHERE p.customer = o.customer)

SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer AND EXISTS (SELECT 1 FROM events e WHERE e.id = c.id AND e.v < o.qty))

SELECT id FROM orders o WHERE qty > (SELECT count(*) FROM customers c WHERE c.id = o.customer AND c.id IN (SELECT e.id FROM events e WHERE e.v <> o.qty))

SELECT id, (SELECT max((SELECT min(e.w) FROM events e WHERE e.id = c.id AND e.v >= o.qty)) FROM customers c WHERE c.id <= o.customer) AS m FROM orders o

SELECT id, CASE WHEN EXISTS (SELECT 1 FROM events) THEN 1 ELSE 2 END AS c FROM orders

SELECT (SELECT max(id) FROM orders) AS a, (SELECT min(id) FROM customers) AS b

SELECT x.id FROM (SELECT id, qty FROM orders WHERE qty IN (SELECT v FROM events)) x LEFT JOIN customers c ON c.id = x.qty

SELECT c.id, o.id AS o FROM customers c LEFT JOIN orders o ON o.customer = c.id WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.id = o.id AND e.v = c.id)

SELECT id FROM orders o ORDER BY (SELECT count(*) FROM customers c WHERE c.id = o.customer), id LIMIT 3

-- postgres: output names
SELECT (SELECT max(id) FROM orders), EXISTS (SELECT 1 FROM orders), 1 IN (SELECT id FROM customers)

SELECT count(DISTINCT customer) AS n FROM orders

SELECT count(DISTINCT customer) AS a, count(DISTINCT note) AS b, count(*) AS c, sum(DISTINCT qty) AS d, avg(DISTINCT amount) AS e FROM orders

SELECT customer, count(DISTINCT qty) AS n, sum(DISTINCT qty) AS s, sum(qty) AS t FROM orders GROUP BY customer

SELECT customer, ok, avg(DISTINCT amount) AS a FROM orders GROUP BY customer, ok HAVING count(DISTINCT note) > 1

SELECT customer, count(DISTINCT customer) AS n FROM orders GROUP BY customer

SELECT customer, count(DISTINCT note) FILTER (WHERE ok) AS n, count(DISTINCT note) AS m FROM orders GROUP BY customer

SELECT c.region, count(DISTINCT o.id) AS n FROM customers c LEFT JOIN orders o ON o.customer = c.id GROUP BY c.region

SELECT id, (SELECT count(DISTINCT e.v) FROM events e WHERE e.id = o.id) AS n FROM orders o

SELECT sum(DISTINCT price) AS s, count(DISTINCT price) AS n FROM orders WHERE price <> 'NaN'

SELECT bool_and(ok) AS a, bool_or(ok) AS b FROM orders

-- postgres: DuckDB has no every
SELECT customer, bool_and(qty > 1) AS a, bool_or(DISTINCT ok) AS b, every(ok OR qty > 2) AS c FROM orders GROUP BY customer

SELECT customer FROM orders EXCEPT ALL SELECT id FROM customers

SELECT customer FROM orders INTERSECT ALL SELECT id FROM customers

SELECT id, qty FROM orders EXCEPT ALL SELECT id, v FROM events EXCEPT ALL SELECT qty, customer FROM orders

SELECT qty AS x FROM orders INTERSECT ALL (SELECT v FROM events UNION ALL SELECT id FROM customers)

SELECT note FROM orders EXCEPT ALL SELECT DISTINCT note FROM orders

SELECT customer, ok, count(*) AS n, sum(qty) AS s, grouping(customer, ok) AS g FROM orders GROUP BY GROUPING SETS ((customer, ok), (customer), ())

SELECT customer, note, ok, max(amount) AS m FROM orders GROUP BY ROLLUP (customer, (note, ok))

SELECT customer, note, count(*) AS n, grouping(note) AS g FROM orders GROUP BY CUBE (customer, note) HAVING count(*) > 1

SELECT customer, note, ok, count(*) AS n FROM orders GROUP BY ok, ROLLUP (customer), CUBE (note)

-- postgres: DuckDB does not read it
SELECT customer AS c, count(DISTINCT note) AS n FROM orders GROUP BY DISTINCT ROLLUP (c, 1), ROLLUP (1)

SELECT customer + 1 AS c, grouping(customer + 1) AS g, sum(qty + customer) AS s FROM orders GROUP BY ROLLUP (customer + 1)

SELECT customer, (SELECT count(*) FROM events e WHERE e.id = o.customer) AS n, count(*) AS c FROM orders o GROUP BY ROLLUP (customer)

SELECT customer, CASE WHEN grouping(customer) = 1 THEN 'all' ELSE 'one' END AS w, count(*) AS n FROM orders GROUP BY ROLLUP (customer) HAVING grouping(customer) = 0 OR count(*) > 3

SELECT count(*) AS n FROM orders GROUP BY ()

SELECT grouping(customer) AS g, customer FROM orders GROUP BY customer

SELECT id FROM orders WHERE (customer, qty) IN (SELECT id, v FROM events)

SELECT id FROM orders WHERE (customer, qty) NOT IN (SELECT id, v FROM events)

SELECT id, (customer, qty) IN (SELECT id, v FROM events) AS x, (customer, qty) NOT IN (SELECT id, v FROM events WHERE v > 2) AS y FROM orders

-- postgres: DuckDB compares rows by another rule
SELECT id FROM orders WHERE (customer, qty) IN ((1, 2), (2, 3), (NULL, 4))

-- postgres: DuckDB compares rows by another rule
SELECT id, (customer, qty) NOT IN ((1, 2), (2, 3), (NULL, 4)) AS x FROM orders

-- postgres: DuckDB compares rows by another rule
SELECT id, (customer, qty) = (2, 3) AS a, (customer, qty) <> (2, 3) AS b, (customer, qty) < (2, 3) AS c, ROW(customer, qty, id) >= ROW(2, 3, 1) AS d FROM orders

-- postgres: DuckDB does not read it
SELECT id, (customer, qty) = (SELECT max(id), min(v) FROM events) AS a, (customer, qty) < (SELECT 2, 3) AS b FROM orders

-- postgres: DuckDB compares rows by another rule
SELECT id, (customer, qty) IS NULL AS a, (customer, qty) IS NOT NULL AS b, NOT (customer, qty) IS NULL AS c, (customer, qty) IS DISTINCT FROM (2, 3) AS d FROM orders

SELECT id FROM orders WHERE qty = ANY (SELECT v FROM events)

SELECT id FROM orders WHERE qty > ANY (SELECT v FROM events)

SELECT id FROM orders WHERE qty > ALL (SELECT v FROM events WHERE v < 4)

SELECT id, qty > ALL (SELECT v FROM events) AS a, qty >= ANY (SELECT v FROM events) AS b, qty <> ANY (SELECT v FROM events) AS c, qty = ALL (SELECT v FROM events) AS d, qty <> ALL (SELECT v FROM events) AS e, qty < SOME (SELECT v FROM events) AS f FROM orders

SELECT id FROM orders o WHERE amount >= ALL (SELECT amount FROM orders p WHERE p.customer = o.customer)

SELECT id, amount >= ALL (SELECT p.amount FROM orders p WHERE p.customer = o.customer) AS x, amount < ANY (SELECT p.amount FROM orders p WHERE p.customer = o.customer AND p.ok) AS y FROM orders o

-- postgres: DuckDB does not read it
SELECT id FROM orders WHERE note LIKE ANY (SELECT name FROM customers)

-- postgres: DuckDB does not read it
SELECT id, note LIKE ANY (SELECT name FROM customers) AS a, note NOT LIKE ALL (SELECT region FROM customers) AS b FROM orders

-- postgres: DuckDB does not read it
SELECT id FROM orders WHERE note LIKE ANY (ARRAY['r%', '%e'])

SELECT id FROM orders WHERE qty = ANY (ARRAY[1, 2]) OR qty > ALL (ARRAY[3, 4])

SELECT id FROM orders WHERE (customer, qty) = ANY (SELECT id, v FROM events)

-- postgres: DuckDB compares rows by another rule
SELECT id, (customer, qty) < ANY (SELECT id, v FROM events) AS a, (customer, qty) >= ALL (SELECT id, v FROM events WHERE id < 3) AS b FROM orders

SELECT customer, max(qty) AS m FROM orders GROUP BY customer HAVING max(qty) > ALL (SELECT v FROM events WHERE v < 3)

SELECT customer, max(qty) AS m FROM orders GROUP BY customer HAVING (customer, max(qty)) IN (SELECT id, v FROM events)

SELECT id FROM orders WHERE (SELECT max(v) FROM events) IN (SELECT c.id FROM customers c)

SELECT o.id FROM orders o WHERE (SELECT max(v) FROM events e WHERE e.id = o.customer) > ANY (SELECT c.id FROM customers c WHERE c.id <> o.id)

SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id AND o.qty > (SELECT min(v) FROM events)

SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id AND EXISTS (SELECT 1 FROM events e WHERE e.id = c.id AND e.v = o.qty)

SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id AND o.qty > (SELECT min(v) FROM events e WHERE e.id = c.id)

SELECT o.id, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id AND EXISTS (SELECT 1 FROM events e WHERE e.id = c.id AND e.v = o.qty)

SELECT o.id, c.name FROM orders o RIGHT JOIN customers c ON o.customer = c.id AND c.id IN (SELECT e.id FROM events e WHERE e.v > 1)

SELECT o.id, c.name FROM orders o RIGHT JOIN customers c ON o.customer = c.id AND c.id IN (SELECT e.id FROM events e WHERE e.v > o.qty)

SELECT o.id, c.name FROM orders o FULL JOIN customers c ON o.customer = c.id AND o.qty NOT IN (SELECT v FROM events)

SELECT o.id, c.name FROM orders o FULL JOIN customers c ON o.customer = c.id AND o.qty IN (SELECT e.v FROM events e WHERE e.id = c.id)

SELECT e.id, o.id AS o, c.name FROM events e, orders o JOIN customers c ON o.customer = c.id AND EXISTS (SELECT 1 FROM events x WHERE x.id = c.id AND x.v = o.qty) WHERE e.id = o.id

SELECT o.id FROM orders o JOIN customers c ON (o.customer, o.qty) = (c.id, 2)

SELECT DISTINCT ON (customer) customer, id, qty FROM orders ORDER BY customer, qty DESC NULLS LAST, id OFFSET 1

SELECT customer FROM orders ORDER BY customer OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY

SELECT DISTINCT customer, ok FROM orders ORDER BY customer, ok LIMIT 3 OFFSET 1

SELECT id FROM orders WHERE (1, 2) = (1, 2) AND (customer) = (qty)

SELECT id FROM orders WHERE qty = ANY (VALUES (1), (2))

SELECT id FROM orders WHERE qty = ANY ((SELECT v FROM events))

SELECT customer, count(*) FROM orders GROUP BY GROUPING SETS (customer, ok)

SELECT o.id, x.b FROM orders o CROSS JOIN LATERAL (SELECT o.qty + 1 AS b) x

SELECT o.id, x.v FROM orders o, LATERAL (SELECT e.v FROM events e WHERE e.id = o.customer) x

SELECT o.id, x.v, x.w FROM orders o CROSS JOIN LATERAL (SELECT e.v, e.w FROM events e WHERE e.id = o.customer ORDER BY e.v DESC NULLS LAST, e.w, e.x LIMIT 2) x

SELECT o.id, x.v FROM orders o LEFT JOIN LATERAL (SELECT e.v FROM events e WHERE e.id = o.customer ORDER BY e.v LIMIT 1) x ON true

SELECT o.id, x.v FROM orders o LEFT JOIN LATERAL (SELECT e.v FROM events e WHERE e.id = o.customer ORDER BY e.v LIMIT 1) x ON x.v > o.qty

SELECT o.id, x.n, x.s FROM orders o, LATERAL (SELECT count(*) AS n, sum(v) AS s FROM events e WHERE e.id = o.customer) x

SELECT o.id, x.n FROM orders o LEFT JOIN LATERAL (SELECT count(*) AS n FROM events e WHERE e.id = o.customer HAVING count(*) > 1) x ON x.n > 2

SELECT o.id, x.v FROM orders o, LATERAL (SELECT DISTINCT e.v FROM events e WHERE e.id <= o.customer AND e.v > o.qty) x

SELECT o.id, c.name, x.m FROM orders o JOIN customers c ON c.id = o.customer CROSS JOIN LATERAL (SELECT max(e.w) AS m FROM events e WHERE e.id = c.id AND e.v = o.qty) x WHERE x.m IS NOT NULL

SELECT a.id, x.v FROM customers a, orders b CROSS JOIN LATERAL (SELECT e.v FROM events e WHERE e.id = a.id AND e.v = b.qty) x

SELECT a.id, b.id AS b, x.v FROM customers a, orders b LEFT JOIN LATERAL (SELECT e.v FROM events e WHERE e.id = a.id AND e.v = b.qty ORDER BY 1 LIMIT 1) x ON true WHERE a.id = b.customer

SELECT a.id, x.v, c.name FROM customers a, orders b LEFT JOIN LATERAL (SELECT e.v FROM events e WHERE e.id = a.id AND e.v = b.qty) x ON true RIGHT JOIN customers c ON c.id = b.customer WHERE a.id = c.id

SELECT o.id, x.k, x.v FROM orders o, LATERAL (VALUES ('qty', o.qty), ('id', o.customer::int)) AS x (k, v)

SELECT o.id, x.v, y.z FROM orders o, LATERAL (SELECT e.v FROM events e WHERE e.id = o.customer) x, LATERAL (SELECT x.v + o.qty AS z) y

SELECT o.id, y.n FROM orders o, LATERAL (SELECT e.v FROM events e WHERE e.id = o.customer) x, LATERAL (SELECT count(*) AS n FROM customers c WHERE c.id > x.v AND c.id <= o.id) y

SELECT o.id, x.n FROM orders o, LATERAL (SELECT y.n FROM customers c, LATERAL (SELECT count(*) AS n FROM events e WHERE e.id = c.id AND e.v >= o.qty) y WHERE c.id = o.customer) x

SELECT o.id, (SELECT sum(x.s) FROM customers c, LATERAL (SELECT e.v + c.id + o.qty AS s FROM events e WHERE e.id = c.id) x WHERE c.id = o.customer) AS t FROM orders o

SELECT o.id, x.id AS y FROM orders o, LATERAL (SELECT c.id FROM customers c WHERE c.id = o.customer UNION ALL SELECT e.id FROM events e WHERE e.v = o.qty) x

SELECT o.id, x.id AS y FROM orders o, LATERAL (SELECT c.id FROM customers c WHERE c.id = o.customer UNION SELECT e.id FROM events e WHERE e.v = o.qty EXCEPT SELECT o.qty) x

SELECT o.id, x.a, x.b FROM orders o, LATERAL (SELECT c.id AS a, e.v AS b FROM customers c LEFT JOIN events e ON e.id = c.id AND e.v > o.qty WHERE c.id = o.customer) x

SELECT o.id, x.a, x.b FROM orders o, LATERAL (SELECT c.id AS a, e.v AS b FROM customers c, events e WHERE c.id = o.customer AND e.v = o.qty) x

-- postgres: DuckDB does not read it
SELECT o.id FROM orders o LEFT JOIN LATERAL (SELECT e.v FROM events e WHERE e.id = o.customer) x ON EXISTS (SELECT 1 FROM customers c WHERE c.id = x.v AND c.id = o.qty)

SELECT o.id, x.r FROM orders o CROSS JOIN LATERAL (SELECT e.v, row_number() OVER (ORDER BY e.v, e.w, e.x) AS r FROM events e WHERE e.id = o.customer) x WHERE x.r < 3

SELECT o.id, x.g, x.n FROM orders o, LATERAL (SELECT e.v AS g, count(*) AS n FROM events e WHERE e.id = o.customer GROUP BY ROLLUP (e.v)) x

SELECT o.id, x.v FROM orders o JOIN LATERAL (SELECT e.v, e.id FROM events e WHERE e.v > o.qty) x ON x.id = o.customer

SELECT o.id, x.v FROM orders o JOIN LATERAL (SELECT e.v, e.id FROM events e WHERE e.v > o.qty) x USING (id)

SELECT t.id FROM orders t, LATERAL (SELECT u.id FROM customers u JOIN customers AS w ON w.id = t.customer) x, events u

-- postgres: DuckDB's / is a float division
SELECT o.id, x.q FROM orders o, LATERAL (SELECT 10 / nullif(o.qty, 3) AS q FROM events e WHERE e.id = o.customer) x

SELECT o.id, c.name FROM orders o, customers c WHERE (o.customer = c.id AND o.qty = 2) OR (o.customer = c.id AND c.region = 'red' AND o.qty > 2)

SELECT o.id, c.name FROM orders o, customers c WHERE (o.qty = 2 AND c.name = 'red' AND o.id < c.id) OR (o.qty = 3 AND c.name = 'blue')

SELECT * FROM generate_series(1, 5)

SELECT g FROM generate_series(1, 5) AS g

SELECT g.i, g.n FROM generate_series(5, 1, -2) WITH ORDINALITY AS g (i, n)

SELECT o.id, i FROM orders o, generate_series(1, o.qty) AS i

SELECT o.id, g.i, g.n FROM orders o CROSS JOIN generate_series(o.customer, o.customer + o.qty, 2) WITH ORDINALITY AS g (i, n)

SELECT o.id, i FROM orders o LEFT JOIN generate_series(3, o.qty) AS i ON true

SELECT o.id, i FROM orders o LEFT JOIN LATERAL generate_series(1, o.qty) AS i ON i <> o.customer

-- postgres: DuckDB does not read it
SELECT o.id, j.key, j.value FROM orders o, jsonb_each(o.doc) j

-- postgres: DuckDB does not read it
SELECT o.id, k, v FROM orders o, jsonb_each_text(o.doc) AS j (k, v)

-- postgres: DuckDB does not read it
SELECT o.id, k FROM orders o, jsonb_object_keys(o.doc) AS k

-- postgres: DuckDB does not read it
SELECT o.id, e.value FROM orders o, jsonb_array_elements(o.doc -> 'list') e

-- postgres: DuckDB does not read it
SELECT o.id, v, n FROM orders o LEFT JOIN jsonb_array_elements_text(o.doc -> 'list') WITH ORDINALITY AS e (v, n) ON true

-- postgres: DuckDB makes lists there
SELECT id, generate_series(1, qty) AS s FROM orders

-- postgres: DuckDB does not read it
SELECT id, generate_series(1, qty) + 1 AS s, jsonb_object_keys(doc) AS k FROM orders

-- postgres: DuckDB makes lists there
SELECT DISTINCT generate_series(1, qty) AS s FROM orders ORDER BY s LIMIT 3

-- postgres: DuckDB makes lists there
SELECT customer, generate_series(1, count(*)) AS s, max(qty) AS m FROM orders GROUP BY customer

-- postgres: DuckDB does not read it
SELECT * FROM ROWS FROM (generate_series(1, 3), generate_series(1, 5), jsonb_each_text('{"a": 1}')) WITH ORDINALITY AS x (a, b, c, d, n)

-- postgres: DuckDB does not read it
SELECT o.id, (jsonb_each(o.doc)).*, (jsonb_each(o.doc)).key AS again FROM orders o

-- postgres: DuckDB does not read it
SELECT o.id, s[1] AS a, s[2] AS b, upper FROM orders o, string_to_array(o.id || ',b', ',') AS s, upper(s[1] || 'x')

-- postgres: DuckDB's format is another
SELECT format('%I.%I is %L', name, region || ' x', name) AS f, id AS select FROM customers WHERE name IS NOT NULL AND region IS NOT NULL

-- postgres: DuckDB does not read it
SELECT o.id, x.a, x.b FROM orders o, ROWS FROM (generate_series(1, o.qty), generate_series(o.customer, 3)) AS x (a, b)

SELECT i, (SELECT count(*) FROM orders o WHERE o.qty = i) AS n FROM generate_series(1, 5) AS i

SELECT i, count(o.id) AS n FROM generate_series(0, 6) AS i LEFT JOIN orders o ON o.qty = i GROUP BY i

SELECT i FROM generate_series(1, (SELECT max(qty) FROM orders)) AS i

SELECT c.id, i FROM customers c, generate_series((SELECT min(v) FROM events e WHERE e.id = c.id), 4) AS i

-- postgres: DuckDB does not read it
SELECT id FROM orders WHERE qty IN (SELECT generate_series(1, 3))

-- postgres: DuckDB does not read it
SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM jsonb_object_keys(o.doc) k WHERE k = 'list')

-- postgres: DuckDB does not read it
SELECT o.id, (SELECT sum(v::int) FROM jsonb_array_elements_text(o.doc -> 'list') AS v) AS s FROM orders o

-- postgres: DuckDB does not read it
SELECT o.id, x.k, y.i FROM orders o, jsonb_object_keys(o.doc) AS x (k), generate_series(1, length(x.k)) AS y (i)

-- postgres: DuckDB makes lists there
SELECT generate_series(1, 2) AS a, generate_series(1, 3) AS b

SELECT x.i FROM events e JOIN generate_series(1, 3) AS x (i) ON e.v = x.i

-- postgres: DuckDB does not read it
SELECT o.id, i FROM orders o LEFT JOIN generate_series(1, o.qty) AS i ON EXISTS (SELECT 1 FROM events e WHERE e.v = i)

SELECT i FROM generate_series(9223372036854775800, 9223372036854775807, 3) AS i

-- postgres: DuckDB makes lists there
SELECT generate_series(1, 3) AS g FROM orders ORDER BY 1 LIMIT 2

SELECT o.id, x.l FROM orders o, LATERAL (SELECT count(*) AS l FROM generate_series(1, o.qty) AS i WHERE i % 2 = 1) x

SELECT id, lag(qty) OVER (PARTITION BY customer ORDER BY id, placed, qty, amount, price) AS a FROM orders

SELECT id, lag(qty, 2, -1) OVER w AS a, lead(amount) OVER w AS b, count(*) OVER w AS n FROM orders WINDOW w AS (PARTITION BY customer ORDER BY id, placed, qty, amount, price, note)

SELECT customer, sum(qty) OVER (PARTITION BY customer ORDER BY id) AS s, avg(amount) OVER (PARTITION BY customer ORDER BY id) AS a FROM orders

SELECT id, sum(amount) OVER (PARTITION BY customer) AS s, max(note) OVER (PARTITION BY customer) AS m, count(*) OVER () AS n FROM orders

SELECT rank() OVER (ORDER BY qty DESC) AS r, dense_rank() OVER (ORDER BY qty DESC) AS d, percent_rank() OVER (ORDER BY qty DESC) AS p, cume_dist() OVER (ORDER BY qty DESC) AS c, qty FROM orders

SELECT id, first_value(qty) OVER (PARTITION BY id ORDER BY v) AS f FROM (SELECT id % 3 AS id, v, v AS qty FROM events) x

SELECT customer, sum(qty) AS total, rank() OVER (ORDER BY sum(qty) DESC) AS place, sum(sum(qty)) OVER (ORDER BY customer ROWS UNBOUNDED PRECEDING) AS running FROM orders GROUP BY customer

SELECT v, count(*) OVER (ORDER BY v RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS n, sum(v) OVER (ORDER BY v GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES) AS g FROM events

SELECT placed, count(*) OVER (ORDER BY placed RANGE BETWEEN INTERVAL '1 day' PRECEDING AND INTERVAL '2 hours' FOLLOWING) AS n FROM orders

SELECT day, count(*) OVER (ORDER BY day DESC RANGE INTERVAL '2 days' PRECEDING) AS n FROM orders

SELECT w, count(*) OVER (ORDER BY w RANGE BETWEEN 0.5 PRECEDING AND 1.25 FOLLOWING) AS n, sum(x) OVER (PARTITION BY v) AS s FROM events

SELECT DISTINCT ntile(3) OVER (ORDER BY id, customer, amount, qty, price) AS t, id FROM orders

SELECT x, sum(x) OVER (ORDER BY x ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s, bool_and(x > 1) OVER (ORDER BY x) AS b, count(v) FILTER (WHERE v > 1) OVER (ORDER BY x) AS c FROM events

SELECT o.id, (SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY e.v) AS n FROM events AS e WHERE e.id = o.id) AS y) AS m FROM orders AS o

SELECT id, n FROM (SELECT customer, id, count(*) OVER (PARTITION BY customer ORDER BY id) AS n FROM orders) x WHERE customer = 2

SELECT nth_value(v, 2) OVER (ORDER BY v RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS s, last_value(v) OVER (ORDER BY v DESC NULLS LAST) AS l FROM events

-- postgres: DuckDB's series of times are of other types
SELECT t FROM generate_series(TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-03', interval '6 hours') AS t

-- postgres: DuckDB's series of times are of other types
SELECT o.id, t FROM orders o, generate_series(o.placed, o.placed + interval '3 days', interval '1 day 1 hour') AS t

-- postgres: DuckDB's series of times are of other types
SELECT c.id, t FROM customers c, generate_series(c.since, TIMESTAMP '2026-01-01', interval '-30 days') AS t

-- postgres: DuckDB's series of times are of other types
SELECT o.id, generate_series(o.placed, o.placed + interval '1 minute', o.qty * interval '10 seconds') AS t FROM orders o WHERE o.qty > 0

-- postgres: DuckDB's series of times are of other types
SELECT t FROM generate_series(DATE '2026-01-01', DATE '2026-01-03', interval '12 hours') AS t

-- postgres: DuckDB's result is of the common type
SELECT id, nullif(qty::smallint, 3) AS a, nullif(qty, customer) AS b, nullif(day, placed) AS c, nullif(qty, amount) AS d, nullif(price::real, price) AS e, nullif(customer, 2) AS f, nullif(1, NULL) AS g, nullif(NULL, 1) AS h FROM orders

SELECT (note LIKE 'r%') AS k, count(*) AS n FROM orders GROUP BY (note LIKE 'r%') HAVING NOT (note LIKE 'r%')

SELECT customer, string_agg(note, ',' ORDER BY note) AS s FROM orders GROUP BY customer

SELECT customer, string_agg(DISTINCT note, '; ' ORDER BY note DESC) AS s, count(*) AS n, count(DISTINCT note) AS d FROM orders GROUP BY customer

-- postgres: DuckDB wants a constant delimiter
SELECT string_agg(note, name ORDER BY o.id, note, name) AS s, string_agg(note, NULL ORDER BY note) AS t FROM orders o JOIN customers c ON c.id = o.customer

SELECT customer, string_agg(note, '-' ORDER BY qty, note) FILTER (WHERE ok) AS s, sum(qty ORDER BY id) AS q FROM orders GROUP BY customer

-- postgres: DuckDB interpolates decimals in decimal
SELECT customer, percentile_cont(0.5) WITHIN GROUP (ORDER BY qty) AS m, percentile_cont(0.9) WITHIN GROUP (ORDER BY amount DESC) AS n FROM orders GROUP BY customer

SELECT percentile_disc(0.25) WITHIN GROUP (ORDER BY note) AS d, percentile_disc(1) WITHIN GROUP (ORDER BY placed) AS e, percentile_disc(0) WITHIN GROUP (ORDER BY day DESC) AS f FROM orders

SELECT customer, mode() WITHIN GROUP (ORDER BY qty) AS m, mode() WITHIN GROUP (ORDER BY note DESC) AS n FROM orders GROUP BY customer

SELECT c.name, (SELECT string_agg(o.note, ',' ORDER BY o.note) FROM orders o WHERE o.customer = c.id) AS notes FROM customers c

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FILTER (WHERE v > 1) AS p, mode() WITHIN GROUP (ORDER BY v) AS m, string_agg(v::text, '') AS s FROM events WHERE id > 99

SELECT customer, stddev(amount) AS a, stddev_pop(price) AS b, variance(qty) AS c, var_pop(id) AS d, var_samp(price) AS e, stddev_samp(qty) AS f FROM orders WHERE price < 100 OR price IS NULL GROUP BY customer

SELECT variance(amount) FILTER (WHERE ok) AS v, stddev(DISTINCT qty) AS s, count(*) AS n FROM orders

SELECT customer, covar_pop(qty, id) AS a, covar_samp(qty, amount) AS b, regr_count(qty, price) AS e, regr_avgx(qty, id) AS f, regr_avgy(qty, id) AS g, regr_sxx(qty, id) AS h, regr_syy(qty, id) AS i, regr_sxy(qty, id) AS j FROM orders GROUP BY customer

-- postgres: DuckDB gives NaN where PostgreSQL gives NULL
SELECT customer, corr(qty, id) AS c, regr_slope(qty, amount) AS s, regr_intercept(qty, amount) AS i, regr_r2(qty, id) FILTER (WHERE ok) AS r FROM orders GROUP BY customer

SELECT id, stddev(amount) OVER (PARTITION BY customer) AS s FROM orders

-- postgres: DuckDB has no sum of intervals
SELECT customer, sum(placed - timestamptz '2026-01-01') AS s, avg(placed - timestamptz '2026-01-02 03:04:05') AS a, min(qty * interval '1 month') AS m, max(placed::time) AS t FROM orders GROUP BY customer

-- postgres
SELECT sum(qty * interval '3 days 01:00') AS s, avg(qty * interval '1 mon 3 days') FILTER (WHERE ok) AS a, avg(DISTINCT day - timestamp '2026-01-01') AS d FROM orders

-- postgres: DuckDB has no jsonb
SELECT customer, jsonb_agg(note ORDER BY id, note) AS a, jsonb_agg(amount ORDER BY amount DESC) AS b, jsonb_agg(DISTINCT qty ORDER BY qty) AS c, jsonb_agg(doc -> 'a' ORDER BY doc::text) FILTER (WHERE ok) AS d FROM orders GROUP BY customer

-- postgres: DuckDB has no jsonb
SELECT customer, jsonb_object_agg(id, qty ORDER BY qty, id) AS o, jsonb_object_agg(note, jsonb_build_array(id, ok) ORDER BY id, ok) FILTER (WHERE note IS NOT NULL) AS p, count(*) AS n FROM orders GROUP BY customer

-- postgres: DuckDB has no jsonb
SELECT jsonb_agg(v ORDER BY v) AS a, jsonb_object_agg(w, x) AS o FROM events WHERE id > 99

-- postgres: DuckDB has no jsonb
SELECT c.id, (SELECT jsonb_agg(jsonb_build_object('id', o.id, 'note', o.note) ORDER BY o.id, o.note) FROM orders o WHERE o.customer = c.id) AS orders FROM customers c

-- postgres: DuckDB has no jsonb
SELECT id, doc #> '{list,1}' AS a, doc #>> '{b}' AS b, doc #> '{}' AS c, doc #>> ARRAY['list', '-1'] AS d, doc #>> '{}' AS e, doc #> '{"a", x}' AS f FROM orders

WITH RECURSIVE reach AS (SELECT id AS a, v AS b FROM events UNION SELECT r.a, e.v FROM reach r JOIN events e ON e.id = r.b) SELECT a, b FROM reach

WITH RECURSIVE reach(a, b) AS (SELECT DISTINCT id, v FROM events UNION SELECT r.a, e.v FROM reach r, events e WHERE e.id = r.b AND e.w > 0) SELECT a, count(*) AS n, max(b) AS m FROM reach WHERE a <> b GROUP BY a

WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 7) SELECT i, count(qty) AS c FROM n LEFT JOIN orders ON qty = i GROUP BY i

WITH RECURSIVE down(id, level) AS (SELECT id, 1 FROM customers UNION ALL SELECT c.id, d.level + 1 FROM down d JOIN customers c ON c.id = d.id + 1 WHERE d.level < 4) SELECT id, level, count(*) AS n FROM down GROUP BY id, level

WITH RECURSIVE walk(id, hops) AS (SELECT id, 0 FROM customers UNION ALL SELECT coalesce(e.v, 0), w.hops + 1 FROM walk w LEFT JOIN events e ON e.id = w.id WHERE w.hops < 3) SELECT hops, sum(id) AS s FROM walk GROUP BY hops

WITH RECURSIVE big AS (SELECT * FROM events WHERE v > 1), reach AS (SELECT id, v FROM big UNION SELECT r.id, b.v FROM reach r JOIN big b ON b.id = r.v AND NOT EXISTS (SELECT 1 FROM customers c WHERE c.id = b.v)) SELECT c.id, (SELECT count(*) FROM reach r WHERE r.id = c.id) AS n FROM customers c

SELECT * FROM (WITH RECURSIVE a AS (SELECT id, 1 AS n FROM customers UNION ALL SELECT id, n + 1 FROM a WHERE n < 2) SELECT x.id, y.n FROM a x JOIN a y USING (id)) t WHERE n > 1

-- postgres: DuckDB has lists
SELECT customer, array_agg(qty ORDER BY id, qty)::text AS a, array_agg(DISTINCT note)::text AS b, (array_agg(amount ORDER BY amount DESC NULLS LAST) FILTER (WHERE ok))::text AS c, (array_agg(id ORDER BY id DESC))[1] AS d FROM orders GROUP BY customer

-- postgres: DuckDB has lists
SELECT array_agg(DISTINCT qty ORDER BY qty DESC)::text AS a, array_agg(ARRAY[id, customer] ORDER BY id, customer)::text AS b, cardinality(array_agg(ok)) AS n FROM orders

-- postgres: DuckDB has lists
SELECT o.id, u.x, u.y, u.n FROM orders o, unnest(ARRAY[o.qty, o.customer::int, NULL], string_to_array(o.note, 'e')) WITH ORDINALITY AS u(x, y, n)

-- postgres: DuckDB has lists
SELECT o.id, c.region, c.ids::text AS ids FROM orders o JOIN (SELECT region, array_agg(id ORDER BY id) AS ids FROM customers GROUP BY region) c ON o.customer = ANY (c.ids) AND o.qty <> ALL (c.ids[2:])

-- postgres: DuckDB has lists
SELECT parts::text AS parts, n, array_length(parts, 1) AS l FROM (SELECT string_to_array(note, 'e') AS parts, count(*) AS n FROM orders GROUP BY 1) x

-- postgres: DuckDB has lists
SELECT a.id, b.id AS other FROM orders a JOIN orders b ON ARRAY[a.qty, a.customer] = ARRAY[b.customer, b.qty] WHERE ARRAY[a.qty] < ARRAY[b.id::int, 3]

-- postgres: DuckDB has lists
SELECT k::text AS k FROM (SELECT DISTINCT ARRAY[ok::text, note] AS k FROM orders UNION SELECT ARRAY[region, NULL] FROM customers EXCEPT SELECT ARRAY['red', NULL]) x

-- postgres: DuckDB has lists
SELECT c.id, ARRAY(SELECT o.note FROM orders o WHERE o.customer = c.id ORDER BY o.id DESC, o.note)::text AS notes, ARRAY(SELECT qty FROM orders o WHERE o.customer = c.id ORDER BY 1 LIMIT 2)::text AS least FROM customers c

-- postgres: DuckDB has lists
SELECT customer, min(ARRAY[qty, id])::text AS a, max(ARRAY[note, ok::text])::text AS b FROM orders GROUP BY customer

-- postgres: DuckDB has lists
SELECT id, a::text AS a FROM (SELECT id, ARRAY[amount, -amount] AS a FROM orders ORDER BY ARRAY[amount, -amount] DESC, id LIMIT 3) x

-- postgres: DuckDB has lists
SELECT o.id, unnest(ARRAY[o.qty, 7]) AS u, generate_subscripts(ARRAY[o.id, o.id, o.id], 1) AS s FROM orders o

-- postgres: DuckDB has lists
SELECT customer, jsonb_agg(ARRAY[qty, NULL] ORDER BY id, qty) AS j, to_jsonb(array_agg(day ORDER BY id, day)) AS d FROM orders GROUP BY customer

-- postgres: DuckDB has lists
SELECT id, (ARRAY[qty, id, customer])[qty] AS a, (ARRAY[qty, id] || customer)::text AS b, ARRAY[qty] @> ARRAY[customer::int] AS c, ARRAY[qty, id] && ARRAY[customer] AS d, array_position(ARRAY[id, customer], qty) AS e FROM orders WHERE note = ANY ('{red,blue,Green}') OR qty = ANY (ARRAY[id, customer])

-- postgres: DuckDB has lists
SELECT DISTINCT ON (k) k::text AS k, n FROM (SELECT ARRAY[customer] AS k, count(*) AS n FROM orders GROUP BY customer) x ORDER BY k, n

-- postgres: DuckDB has other results of regr and corr for pairs of one value
SELECT id, customer, qty, corr(qty, id) OVER (PARTITION BY customer) AS c, regr_slope(price, qty) FILTER (WHERE ok) OVER () AS s, covar_pop(amount, qty) OVER (PARTITION BY customer) AS v, regr_count(amount, qty) OVER (PARTITION BY customer) AS n, regr_avgx(amount, qty) OVER w AS a FROM orders WHERE price < 100 WINDOW w AS (PARTITION BY customer)

SELECT id, string_agg(note, ',') OVER (PARTITION BY customer ORDER BY note, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS t, string_agg(note, '-') FILTER (WHERE qty > 2) OVER (PARTITION BY customer, note) AS u, stddev(qty) OVER (PARTITION BY customer) AS s FROM orders

-- postgres: DuckDB has no jsonb
SELECT id, jsonb_agg(qty) OVER (PARTITION BY customer ORDER BY qty, id RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS t, jsonb_object_agg(coalesce(note, ''), qty) OVER (PARTITION BY id ORDER BY qty ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS o FROM orders

WITH g AS (SELECT customer, count(*) AS n, max(qty) AS m FROM orders GROUP BY customer) SELECT a.customer, a.n, b.m FROM g a JOIN g b ON b.customer = a.customer WHERE a.n > 1 AND b.m > 2

WITH g AS (SELECT customer, count(*) AS n, max(qty) AS m FROM orders GROUP BY customer) SELECT c.id, a.n, b.m, d.n AS o FROM customers c JOIN g a ON a.customer = c.id JOIN g b USING (customer) LEFT JOIN g d ON d.customer = b.m AND b.n = a.m

SELECT c.id, o.qty, e.v FROM customers c LEFT JOIN orders o ON o.customer = c.id LEFT JOIN events e ON e.id = o.qty JOIN customers d ON d.id = e.v WHERE o.note IS NOT NULL OR e.w > 0

SELECT t.name, count(*) AS n FROM (SELECT c.name, o.qty FROM customers c FULL JOIN orders o ON o.customer = c.id) t WHERE t.qty IN (1, 2, 3) GROUP BY t.name HAVING t.name > 'b'

-- postgres: DuckDB has lists
SELECT id, array_agg(qty) OVER (PARTITION BY customer ORDER BY qty, id RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)::text AS t FROM orders

-- postgres: DuckDB has NaN for the correlation of what does not vary
SELECT id, stddev(qty) OVER w AS s, var_pop(amount) OVER w AS v, corr(qty, id) OVER (PARTITION BY customer ORDER BY id GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS c, regr_slope(price, qty) OVER w AS r, covar_samp(qty, id) FILTER (WHERE ok) OVER w AS f FROM orders WHERE price < 100 WINDOW w AS (PARTITION BY customer ORDER BY id)

SELECT v, stddev_samp(v) OVER (ORDER BY v GROUPS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s, regr_count(w, v) OVER (ORDER BY v RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS n, bit_xor(v) OVER (ORDER BY v GROUPS 2 PRECEDING) AS x, bit_and(id) OVER (ORDER BY id) AS a, bit_or(v) OVER (ORDER BY v RANGE 1 PRECEDING EXCLUDE CURRENT ROW) AS o, bool_or(w > 1) OVER (ORDER BY v RANGE 1 PRECEDING) AS b FROM events

-- postgres: DuckDB has lists
SELECT qty, array_agg(qty) OVER (PARTITION BY customer ORDER BY qty)::text AS a, array_agg(qty) OVER (PARTITION BY customer ORDER BY qty ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)::text AS b, string_agg(qty::text, '-') FILTER (WHERE qty > 1) OVER (PARTITION BY customer ORDER BY qty DESC ROWS UNBOUNDED PRECEDING) AS t, jsonb_agg(qty) OVER (ORDER BY qty GROUPS BETWEEN CURRENT ROW AND 1 FOLLOWING EXCLUDE TIES) AS j FROM orders

-- postgres
SELECT v, jsonb_object_agg(v::text, v + 1) OVER (ORDER BY v RANGE 1 PRECEDING) AS o, array_agg(ARRAY[v, v]) OVER (ORDER BY v ROWS UNBOUNDED PRECEDING)::text AS a, jsonb_agg(v) OVER (ORDER BY v) AS j FROM events WHERE v IS NOT NULL

-- postgres
SELECT id, sum(placed - TIMESTAMPTZ '2026-01-01') OVER (PARTITION BY customer ORDER BY placed) AS s, avg(placed - TIMESTAMPTZ '2026-01-01') OVER (ORDER BY placed GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS a FROM orders

-- postgres: DuckDB has lists
SELECT customer, (percentile_cont(ARRAY[0.25, 0.5, NULL, 1]) WITHIN GROUP (ORDER BY qty))::text AS p, (percentile_disc(ARRAY[0.9, 0]) WITHIN GROUP (ORDER BY note DESC) FILTER (WHERE ok))::text AS d, count(*) AS n FROM orders GROUP BY customer

-- Comparing two labellings of the same rows.
CREATE TABLE pair (id integer, a integer, b text, g integer);

-- Equal labellings agree, whatever the labels are called and of whatever type they are.
SELECT adjusted_rand_index(a, b) = 1 AS rand, normalized_mutual_information(a, b) = 1 AS mutual
FROM (VALUES (1, 'setosa'), (2, 'virginica'), (1, 'setosa'), (3, 'versicolor')) AS v (a, b);

-- One of two clusters is split: 4 rows, 6 pairs, 2 together in a, 1 in b and in both;
-- (1 - 2/6) / (3/2 - 2/6) = 4/7.  The information shared is log 2, the entropies are log 2 and
-- 3/2 log 2: 2 / (1 + 3/2) = 4/5.
SELECT adjusted_rand_index(a, b) = 4.0::float8 / 7 AS rand,
	round(normalized_mutual_information(a, b)::numeric, 12) AS mutual
FROM (VALUES (0, 'x'), (0, 'x'), (1, 'y'), (1, 'z')) AS v (a, b);

-- Crossed pairs agree less than chance would have it, (0 - 2/3) / (2 - 2/3), and tell nothing.
SELECT adjusted_rand_index(a, b), normalized_mutual_information(a, b)
FROM (VALUES (0, 0), (0, 1), (1, 0), (1, 1)) AS v (a, b);

-- Independent labellings share exactly nothing, also with 60 rows.
SELECT normalized_mutual_information(i % 3, i / 3 % 4) FROM generate_series(0, 59) AS i;

-- scikit-learn on the table of k-means against the species of iris: 0.730238, 0.758176.
INSERT INTO pair
SELECT row_number() OVER (), a, b, row_number() OVER () % 5
FROM (VALUES (1, 'setosa', 50), (2, 'versicolor', 48), (2, 'virginica', 14),
	(3, 'versicolor', 2), (3, 'virginica', 36)) AS v (a, b, n), generate_series(1, n);
SELECT round(adjusted_rand_index(a, b)::numeric, 6) AS rand,
	round(normalized_mutual_information(a, b)::numeric, 6) AS mutual
FROM pair;

-- The two labellings may trade places, and the rows come in any order, without a bit of difference.
SELECT adjusted_rand_index(a, b) = adjusted_rand_index(b, a) AS rand,
	normalized_mutual_information(a, b) = normalized_mutual_information(b, a) AS mutual,
	adjusted_rand_index(a, b) = adjusted_rand_index(a, b ORDER BY id DESC) AS rand_ordered,
	normalized_mutual_information(a, b) = normalized_mutual_information(a, b ORDER BY id * 37 % 151)
		AS mutual_ordered
FROM pair;

-- No rows: NULL.  One row, or one cluster in both: nothing to disagree about, 1.
SELECT adjusted_rand_index(a, b), normalized_mutual_information(a, b) FROM pair WHERE false;
SELECT adjusted_rand_index(a, b), normalized_mutual_information(a, b) FROM pair WHERE id = 1;
SELECT adjusted_rand_index(a, b), normalized_mutual_information(a, b) FROM pair WHERE id <= 50;

-- Each row a cluster of its own in both: 1.  In one only, or one cluster in one only: 0.
SELECT adjusted_rand_index(id, -id), normalized_mutual_information(id, -id) FROM pair;
SELECT adjusted_rand_index(id, 0), normalized_mutual_information(id, 0) FROM pair;
SELECT adjusted_rand_index('all'::text, b), normalized_mutual_information('all'::text, b) FROM pair;

-- A row where either label is NULL is left out; when all are, the result is NULL.
SELECT adjusted_rand_index(a, b) = 4.0::float8 / 7 AS rand
FROM (VALUES (0, 'x'), (NULL, 'x'), (0, 'x'), (1, NULL), (1, 'y'), (NULL, NULL), (1, 'z'))
	AS v (a, b);
SELECT adjusted_rand_index(a, NULL), normalized_mutual_information(NULL::integer, b) FROM pair;

-- They are aggregates like any other: each group gets what a query over its rows alone gets, and
-- ROLLUP, FILTER and DISTINCT work.
SELECT g, adjusted_rand_index(a, b) = (SELECT adjusted_rand_index(a, b) FROM pair AS q
	WHERE p.g IS NULL OR q.g = p.g) AS rand
FROM (SELECT g, a, b FROM pair UNION ALL SELECT NULL, a, b FROM pair) AS p
GROUP BY g ORDER BY g;
SELECT count(*), bool_and(r BETWEEN -0.5 AND 1) AS rand, bool_and(m BETWEEN 0 AND 1) AS mutual
FROM (SELECT adjusted_rand_index(a, b) AS r, normalized_mutual_information(a, b) AS m
	FROM pair GROUP BY ROLLUP (g, id)) AS s;
SELECT adjusted_rand_index(a, b) FILTER (WHERE b <> 'versicolor' AND a <> 2) AS filtered,
	normalized_mutual_information(DISTINCT b, b) AS distinct_labels
FROM pair;

-- As window functions they may be asked again and again: each running value is that of its frame.
SELECT bool_and(running = framed) AS agree, count(*)
FROM (SELECT id, adjusted_rand_index(a, b) OVER (ORDER BY id * 37 % 151) AS running,
		(SELECT adjusted_rand_index(a, b) FROM pair AS q WHERE q.id * 37 % 151 <= p.id * 37 % 151)
			AS framed
	FROM pair AS p) AS s;
SELECT bool_and(moving = framed) AS agree, count(*)
FROM (SELECT id, normalized_mutual_information(a, b)
			OVER (ORDER BY id ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS moving,
		(SELECT normalized_mutual_information(a, b) FROM pair AS q
			WHERE q.id BETWEEN p.id - 9 AND p.id) AS framed
	FROM pair AS p) AS s;

-- Labels are equal where GROUP BY says so: 1.0 and 1.00, 0 and -0, NaN and NaN, 'x' and 'x '
-- where they are padded.
SELECT adjusted_rand_index(a, b) AS numeric_float8
FROM (VALUES (1.0, 0::float8), (1.00, '-0'), (2, 'NaN'), (2.0, 'NaN')) AS v (a, b);
SELECT adjusted_rand_index(a::character(3), b) AS character
FROM (VALUES ('x', 1), ('x ', 1), ('y', 2), ('y', 2)) AS v (a, b);

-- Any type that can be hashed will do, and domains over one.
CREATE DOMAIN label AS text CHECK (VALUE <> '');
CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
SELECT adjusted_rand_index(a::bigint, b::label) = r AS domain,
	adjusted_rand_index(b::label, a::smallint) = r AS domain_first,
	adjusted_rand_index(a = 1, b = 'setosa') = 1 AS boolean,
	adjusted_rand_index(md5(b)::uuid, ARRAY[a, a]) = r AS uuid_array,
	adjusted_rand_index(to_jsonb(b), (enum_range(NULL::colour))[a]) = r AS jsonb_enum,
	adjusted_rand_index(date '2000-01-01' + a, int4range(a, a + 1)) = 1 AS date_range,
	adjusted_rand_index(b::name, '\x00'::bytea || b::bytea) = 1 AS name_bytea
FROM pair, (SELECT adjusted_rand_index(a, b) AS r FROM pair) AS s
GROUP BY r;

-- Long labels, compressed or not, are compared by value.
CREATE TABLE long_label (a text, b text);
ALTER TABLE long_label ALTER b SET STORAGE EXTERNAL;
INSERT INTO long_label
SELECT repeat((i % 3)::text, 9000), repeat((i % 3)::text, 9000) FROM generate_series(1, 30) AS i;
SELECT adjusted_rand_index(a, b), adjusted_rand_index(b, left(a, 1)) FROM long_label;

-- Many labels, and many groups.
SELECT adjusted_rand_index(i % 1000, (i % 1000)::text || 'x') AS same,
	abs(adjusted_rand_index(i % 100, i / 100)) < 0.02 AS crossed,
	normalized_mutual_information(i % 100, i / 100) AS crossed_mutual
FROM generate_series(0, 9999) AS i;
SELECT count(*), min(r), max(r)
FROM (SELECT adjusted_rand_index(i % 2, (i % 2)::text) AS r
	FROM generate_series(0, 29999) AS i GROUP BY i / 3) AS s;

-- What can't be told apart is an error that says so.
SELECT adjusted_rand_index(point(a, a), b) FROM pair;
SELECT normalized_mutual_information(a, json_build_array(b)) FROM pair;
SELECT adjusted_rand_index(ROW(a, b), b) FROM pair;

-- Two columns with collations that differ need to be told which one counts.
CREATE TABLE two_collations (a text COLLATE "C", b text COLLATE "POSIX");
INSERT INTO two_collations VALUES ('x', '1'), ('x', '1'), ('y', '2');
SELECT adjusted_rand_index(a, b) FROM two_collations;
SELECT adjusted_rand_index(a COLLATE "C", b) FROM two_collations;

DROP TABLE pair, long_label, two_collations;
DROP DOMAIN label;
DROP TYPE colour;

-- What bad input to a K-means fit gets: an SQLSTATE, a message, and where it helps a detail and a hint.
CREATE FUNCTION fails(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE query;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', state || ': ' || message, '  ' || nullif(detail, ''), '  ' || nullif(hint, ''));
END $$;
\t on
\pset format unaligned

-- ---- shapes ----

-- A point has one dimension, and at least one element.
SELECT fails($$SELECT kmeans_fit('{{1,2},{3,4}}'::integer[], 1)$$);
SELECT fails($$SELECT kmeans_fit('{}'::integer[], 1)$$);
SELECT fails($$SELECT kmeans_fit(x, 1) FROM (VALUES ('{1}'::real[]), ('{2}'), ('{{{3}}}')) AS t (x)$$);

-- All points have as many elements: both numbers, and the row.
SELECT fails($$SELECT kmeans_fit(x, 1) FROM (VALUES ('{1,2}'::integer[]), (NULL), ('{1,2,3}')) AS t (x)$$);
SELECT fails($$SELECT kmeans_fit(x, 1, '{"invalid": "skip"}') FROM (VALUES ('{1,2}'::integer[]), ('{NULL}')) AS t (x)$$);

-- As many as the start model has.
SELECT fails($$SELECT kmeans_fit(x, kmeans_model('{{1,2},{3,4}}')) FROM (VALUES ('{1,2}'::integer[]), ('{1}')) AS t (x)$$);
SELECT fails($$SELECT kmeans_fit('{1}'::numeric[], kmeans_model('{{1,2},{3,4}}'))$$);

-- ---- elements ----

-- NULL, NaN and infinities are errors that say where.
SELECT fails($$SELECT kmeans_fit(x, 1) FROM (VALUES ('{1,2}'::integer[]), ('{1,NULL}')) AS t (x)$$);
SELECT fails($$SELECT kmeans_fit(x, 1) FROM (VALUES ('{1,2}'::double precision[]), ('{3,4}'), ('{NaN,1}')) AS t (x)$$);
SELECT fails($$SELECT kmeans_fit('{1,2,-Infinity}'::real[], 1)$$);
SELECT fails($$SELECT kmeans_fit('{1,NaN}'::numeric[], 1)$$);
SELECT fails($$SELECT kmeans_fit('{1e999}'::numeric[], 1)$$);
SELECT fails($$SELECT kmeans_fit('{true,NULL}'::boolean[], 1)$$);

-- The row is the position in the group, with rows that were skipped counted.
SELECT fails($$SELECT kmeans_fit(x, 1) FROM (VALUES (ARRAY[1]), (NULL), (ARRAY[2]), (ARRAY[NULL::integer])) AS t (x)$$);

-- Types that are no numbers are named.
SELECT fails($$SELECT kmeans_fit('{a,b}'::text[], 1)$$);
SELECT fails($$SELECT kmeans_fit(ARRAY['2026-01-01'::date], 1)$$);
SELECT fails($$SELECT kmeans_fit(ARRAY['1 day'::interval], 1)$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[B'101'], 1)$$);
SELECT fails($$SELECT kmeans_fit(ARRAY['1'::money], 1)$$);
SELECT fails($$SELECT kmeans_fit('{1,2}', 1)$$);
SELECT fails($$SELECT kmeans_fit(1, 1)$$);

-- ---- k ----

SELECT fails($$SELECT kmeans_fit(ARRAY[1], 0)$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], -3)$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], NULL::integer)$$);

-- More clusters than rows, or than distinct points.
SELECT fails($$SELECT kmeans_fit(ARRAY[i], 4) FROM generate_series(1, 3) AS i$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[i % 2], 3) FROM generate_series(1, 10) AS i$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[v], 2) FROM (VALUES (0.0), (-0.0)) AS t (v)$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[i], 2147483647) FROM generate_series(1, 3) AS i$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], kmeans_model('{{1},{2}}'))$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[i], 3, '{"invalid": "skip"}') FROM (VALUES (1), (2), (NULL)) AS t (i)$$);

-- ---- options ----

-- An unknown key is named, with those that there are; so is one of another algorithm.
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"n_inti": 10}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"": 10}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"Seed": 10}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"covariance": "full"}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"smoothing": 1}')$$);

-- Values of the wrong type, or out of range.
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"seed": "1"}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"seed": 1.5}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"seed": 9223372036854775808}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"n_init": 0}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"n_init": 100001}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"max_iter": 0}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"max_iter": true}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"max_iter": [1]}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"max_iter": {"a": 1}}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"tol": -0.1}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"tol": 1e400}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"beta": 0}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"beta": -1}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"init": "kmeans++"}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"init": 1}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"invalid": "ignore"}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"allow_fewer": 1}')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{"allow_fewer": "true"}')$$);

-- Options are an object.
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '[]')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '[{"seed": 1}]')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '5')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, 'null')$$);

-- They are checked with the first row, before any work, also where it is skipped.
SELECT fails($$SELECT kmeans_fit(NULL::integer[], 1, '{"n_inti": 10}')$$);
SELECT fails($$SELECT kmeans_fit(NULL::integer[], 0)$$);

-- ---- weights ----

SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{}', w) FROM (VALUES (1), (-0.5)) AS t (w)$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{}', 'NaN')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{}', 'Infinity')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], 1, '{}', '-Infinity')$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[i], 1, '{}', 1e308) FROM generate_series(1, 3) AS i$$);

-- ---- what may not change within a group ----

SELECT fails($$SELECT kmeans_fit(ARRAY[i], i) FROM generate_series(1, 3) AS i$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[i], NULLIF(1, i)) FROM generate_series(3, 1, -1) AS i$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[i], 1, kmeans_options(seed => i)) FROM generate_series(1, 3) AS i$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[i], 1, CASE WHEN i > 1 THEN '{}'::jsonb END) FROM generate_series(1, 3) AS i$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[i], kmeans_model(ARRAY[[i]])) FROM generate_series(1, 3) AS i$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[i], CASE WHEN i < 3 THEN kmeans_model('{{1}}') END) FROM generate_series(1, 3) AS i$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[i], kmeans_model(ARRAY(SELECT ARRAY[j + (j = 150 AND i = 3)::integer]
	FROM generate_series(1, 150) AS j))) FROM generate_series(1, 3) AS i$$);

-- Catalogues have columns of the type anyarray, whose rows hold arrays of any types.
CREATE TABLE several ();
INSERT INTO several DEFAULT VALUES;
ALTER TABLE several ADD a real DEFAULT 1;
ALTER TABLE several ADD b double precision DEFAULT 0;
ALTER TABLE several ADD c uuid DEFAULT '000000fc-0000-0000-0000-000000000000';
SELECT (cluster_components(kmeans_fit(attmissingval, 1))).center FROM pg_attribute
WHERE attrelid = 'several'::regclass AND attname = 'b';
SELECT fails(format($$SELECT %s(attmissingval, 1 ORDER BY attnum %s) FROM pg_attribute
	WHERE attrelid = 'several'::regclass AND attname IN (%s)$$, f, direction, names))
FROM unnest('{kmeans_fit,kmedians_fit,gmm_fit,bernoulli_fit}'::text[]) AS f,
	(VALUES ('', $$'a', 'b'$$), ('DESC', $$'a', 'b'$$), ('', $$'a', 'c'$$), ('', $$'b', 'c'$$)) AS t (direction, names);
DROP TABLE several;

-- ---- start models ----

SELECT fails($$SELECT kmeans_fit(ARRAY[1], ''::bytea)$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], '\xdeadbeef'::bytea)$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], NULL::bytea)$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], substr(kmeans_model('{{1}}'), 1, 200))$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], set_byte(kmeans_model('{{1}}'), 155, 77))$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], kmedians_model('{{1}}'))$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[1], gmm_model(NULL, '{{1}}', '{1}', 'spherical'))$$);

-- ---- the ends of double precision ----

-- Squares of 1e200 overflow: the sum of squares can't be given.
SELECT fails($$SELECT kmeans_fit(ARRAY[i * 1e200], 2) FROM generate_series(1, 5) AS i$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[i * 1e110], 2, '{}', 1e110) FROM generate_series(1, 5) AS i$$);

-- But as many clusters as points have a sum of squares of 0.
SELECT fails($$SELECT kmeans_fit(ARRAY[i * 1e307], 5) FROM generate_series(1, 5) AS i$$);
SELECT fails($$SELECT kmeans_fit(ARRAY[v], 2) FROM (VALUES (1.7e308::double precision), (-1.7e308)) AS t (v)$$);

-- A value may be out of proportion to the others, but not so much that the squares of these vanish: whether
-- there are enough clusters, or a start, or not.
SELECT fails(format($$SELECT kmeans_fit(ARRAY[v], %s)
	FROM (SELECT %s::double precision UNION ALL SELECT i %% 2 * 100 + i / 1000.0 FROM generate_series(1, 100) AS i) AS t (v)$$, k, far))
FROM (VALUES ('3', '1.7976931348623157e308'), ('3', '1e300'), ('3', '-1e280'), ('2', '1e300'), ('90', '1e300'),
	($$kmeans_model('{{0},{100},{1e300}}')$$, '1e300')) AS t (k, far);
SELECT fails($$SELECT kmeans_fit(ARRAY[CASE WHEN i < 50 THEN 1e300 ELSE -1e300 END, i], 2) FROM generate_series(1, 99) AS i$$);

-- Beta times a squared distance must be a number.
SELECT fails($$SELECT kmeans_fit(ARRAY[i * 1e200], 2, '{"beta": 1e300}') FROM generate_series(1, 5) AS i$$);

DROP FUNCTION fails;

-- Elements of numeric[]: each is read as the double that the server's own cast makes of it.

-- The distance of one column from 0 is the value, without its sign, to the last bit.
CREATE TEMP TABLE origin AS
SELECT kmedians_model(ARRAY[[0]]) AS m1, kmedians_model(ARRAY[[0, 0, 0]]) AS m3;

-- No message says that this server's numerics look otherwise than expected and are read the slow way.
SET client_min_messages = debug1;
SELECT cluster_distance(m1, ARRAY[12.25]) FROM origin;
RESET client_min_messages;

-- Values of all lengths: up to 30 digits, of which some at the end are 0, with the point anywhere.
CREATE TEMP TABLE value AS
SELECT (CASE WHEN i % 2 = 0 THEN '-' ELSE '' END || left(digits, length) || repeat('0', zeros) || 'e' || exponent)::numeric AS v
FROM (SELECT i, translate(md5(i::text), 'abcdef', '123456') AS digits, 1 + i % 30 AS length, i % 7 % 5 AS zeros,
		(i * 7919) % 81 - 50 AS exponent
	FROM generate_series(1, 30000) AS i) AS made;

-- Around 2^53, beyond which not all integers are doubles, by powers of ten up to beyond 10^22.
INSERT INTO value
SELECT (2::numeric ^ 53 + i) * ('1e' || exponent)::numeric FROM generate_series(-12, 12) AS i, generate_series(-30, 30) AS exponent;

-- Halves between two doubles, which are rounded to even, and the neighbours of those.
INSERT INTO value
SELECT 2::numeric ^ 53 + 2 * i + 1 + tiny FROM generate_series(0, 500) AS i, unnest(ARRAY[0, 1e-20, -1e-20]) AS tiny;

-- Whole digits of base 10000, and next to them.
INSERT INTO value
SELECT sign * (10000::numeric ^ i + add) FROM generate_series(-8, 8) AS i, unnest(ARRAY[-1, 0, 1, 0.0001]) AS add, unnest(ARRAY[-1, 1]) AS sign;
INSERT INTO value VALUES (0), (-0.0), (0.000), (1.000), (100.00), (1e300), (1.7976931348623157e308), (2.2250738585072014e-308),
	(5e-300), (123456789.123456789123456789);

SELECT count(*) > 30000 AS many,
	count(*) FILTER (WHERE cluster_distance(m1, ARRAY[v]) IS DISTINCT FROM abs(v::double precision)) AS wrong
FROM value, origin;

-- The same beside others, in arrays from a table, which are stored with short headers or with long ones, and compressed.
CREATE TEMP TABLE stored AS
SELECT v, ARRAY[v, 0, 0] AS first, ARRAY[0, v, 0] AS second, ARRAY[0, 0.5 - 0.5, v] AS third, array_fill(v, ARRAY[300]) AS long
FROM value;
SELECT count(*) FILTER (WHERE cluster_distance(m3, first) IS DISTINCT FROM abs(v::double precision)) AS first,
	count(*) FILTER (WHERE cluster_distance(m3, second) IS DISTINCT FROM abs(v::double precision)) AS second,
	count(*) FILTER (WHERE cluster_distance(m3, third) IS DISTINCT FROM abs(v::double precision)) AS third
FROM stored, origin;
SELECT count(*) AS wrong_long FROM (SELECT *, row_number() OVER (ORDER BY v) AS number FROM stored) AS s,
	(SELECT kmedians_model(ARRAY[array_fill(0::double precision, ARRAY[300])]) AS m300) AS o
WHERE number % 20 = 0 AND abs(v) < 1e300
	AND cluster_distance(m300, long) IS DISTINCT FROM cluster_distance(m300, long::double precision[]);

-- Signs.
SELECT count(*) AS wrong_signs
FROM stored, (SELECT kmedians_model(ARRAY[[-1], [1]]) AS m) AS signs
WHERE abs(v) BETWEEN 0.001 AND 1e9 AND cluster_predict(m, ARRAY[v]) IS DISTINCT FROM CASE WHEN v < 0 THEN 1 ELSE 2 END;

-- Too small for a double is 0; too large is infinite, which a point can't be.
SELECT cluster_distance(m1, ARRAY['1e-13000'::numeric]) AS small FROM origin;
SELECT cluster_distance(m1, ARRAY['1e400'::numeric]) FROM origin;
SELECT cluster_distance(m1, ARRAY['-1e400'::numeric]) FROM origin;
SELECT cluster_distance(m1, ARRAY['NaN'::numeric]) FROM origin;
SELECT cluster_distance(m3, ARRAY[1, 'Infinity'::numeric, 2]) FROM origin;
SELECT cluster_distance(m3, ARRAY[1, 2, '-Infinity'::numeric]) FROM origin;
SELECT cluster_distance(m3, ARRAY[1, NULL, 2.5]) FROM origin;

-- The model is a function of the rows: not of the memory that they were given, nor of the workers.
SET client_min_messages = error; -- fits that end at max_iter
CREATE TABLE point AS
SELECT i % 3 AS g, 1 + i % 4 AS w,
	ARRAY[(i * 7919) % 10007 / 100.0, (i * 104729::bigint) % 7 * 10 + (i * 31) % 101 / 50.0,
		(i * 15485863::bigint) % 1009 / 250.0]::float8[] AS x
FROM generate_series(1, 60000) AS i;
CREATE TABLE bits AS
SELECT ((i * 2654435761) % 4294967296)::bit(32)::varbit ||
	CASE WHEN i % 3 = 0 THEN B'11110000' ELSE B'00001111' END AS x
FROM generate_series(1::bigint, 40000) AS i;

-- Whether a statement ends in an error, and of what kind: messages differ between versions.
CREATE FUNCTION fails(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE query;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;

-- How many different results a query has under different settings, and files that it leaves.
CREATE FUNCTION results(query text) RETURNS TABLE (results bigint, files bigint)
LANGUAGE plpgsql AS $$
DECLARE
	setting record;
	result text;
	found text[] := '{}';
BEGIN
	FOR setting IN SELECT * FROM (VALUES
		('1GB', 0), ('64kB', 0), ('1GB', 1), ('64kB', 3), ('4MB', 2)) AS v(memory, workers)
	LOOP
		PERFORM set_config('work_mem', setting.memory, false),
			set_config('clustering.max_parallel_workers', setting.workers::text, false);
		EXECUTE 'SELECT string_agg(md5(m), '' '' ORDER BY m) FROM (' || query || ') AS q(m)'
			INTO result;
		found := found || result;
	END LOOP;
	RETURN QUERY SELECT count(DISTINCT f), (SELECT count(*) FROM pg_ls_tmpdir())
		FROM unnest(found) AS f;
END $$;

SELECT * FROM results($$SELECT kmeans_fit(x, 50, '{"max_iter": 5}') FROM point$$);
SELECT * FROM results($$SELECT kmeans_fit(x, 50, '{"max_iter": 5, "init": "random"}', w) FROM point$$);
SELECT * FROM results($$SELECT kmeans_fit(x::real[], 50, '{"max_iter": 3}', w / 7.0) FROM point$$);
SELECT * FROM results($$SELECT kmeans_fit(x, 45, '{"max_iter": 3, "beta": 2}', w) FROM point$$);
SELECT * FROM results($$SELECT kmedians_fit(x, 45, '{"max_iter": 3}', w) FROM point$$);
SELECT * FROM results($$SELECT gmm_fit(x, 45, '{"max_iter": 2}', w) FROM point$$);
SELECT * FROM results($$SELECT gmm_fit(x, 45, '{"max_iter": 2, "covariance": "diag"}') FROM point$$);
SELECT * FROM results($$SELECT bernoulli_fit(x, 9, '{"max_iter": 5}') FROM bits$$);
SELECT * FROM results($$SELECT bernoulli_fit(x || repeat('10', 150)::varbit, 9, '{"max_iter": 5}') FROM bits$$);

-- warm starts
SELECT * FROM results($$SELECT kmeans_fit(x, (SELECT kmeans_fit(x, 50, '{"max_iter": 1}')
	FROM point WHERE g = 0)) FROM point$$);

-- many groups, as window functions, and two aggregates at once
SELECT * FROM results($$SELECT kmeans_fit(x, 4, '{}', w) FROM point GROUP BY g$$);
SELECT * FROM results($$SELECT DISTINCT gmm_fit(x, 2) OVER (PARTITION BY g) FROM point$$);
SELECT * FROM results($$SELECT kmeans_fit(x, 3 ORDER BY x[1]) || kmedians_fit(x, 3)
	FROM point GROUP BY g, w$$);

-- duplicates lie in different runs
SELECT * FROM results($$SELECT kmeans_fit(x, 3) FROM (SELECT x FROM point WHERE g = 0
	UNION ALL SELECT x FROM point WHERE g = 0) AS twice$$);
SELECT * FROM results($$SELECT kmeans_fit(ARRAY[i % 5], 5) FROM generate_series(1, 300000) AS i$$);

-- A run of few rows, since each is long.
SELECT * FROM results($$SELECT kmeans_fit(ARRAY(SELECT (i * j) % 11 FROM generate_series(1, 2000) AS j), 3,
	'{"max_iter": 2}') FROM generate_series(1, 400) AS i$$);

-- Rows in temporary files are seen where one looks for such.
CREATE FUNCTION temp_blocks(query text) RETURNS TABLE (written boolean, read boolean)
LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || query INTO plan;
	RETURN QUERY SELECT (plan->0->'Plan'->>'Temp Written Blocks')::int > 100,
		(plan->0->'Plan'->>'Temp Read Blocks')::int > 100;
END $$;
SET clustering.max_parallel_workers = 0;
SET work_mem = '64kB';
SELECT * FROM temp_blocks('SELECT kmeans_fit(x, 5) FROM point');
SET work_mem = '1GB';
SELECT * FROM temp_blocks('SELECT kmeans_fit(x, 5) FROM point');

-- They count towards the limit; a fit in memory does not, and goes without workers if it has to.
SET temp_file_limit = '1MB';
SELECT length(kmeans_fit(x, 5)) > 0 AS fits FROM point;
SET clustering.max_parallel_workers = 2;
SELECT length(kmeans_fit(x, 50, '{"max_iter": 2}')) > 0 AS fits FROM point;
SET work_mem = '64kB';
SELECT fails('SELECT kmeans_fit(x, 5) FROM point');
SELECT count(*) AS files FROM pg_ls_tmpdir();
RESET temp_file_limit;

-- What has to be in memory whatever the limit, or can't be stored.
SELECT fails($$SELECT gmm_fit(ARRAY(SELECT (i * j) % 11 FROM generate_series(1, 12000) AS j), 1)
	FROM generate_series(1, 3) AS i$$);

-- progress
SET client_min_messages = notice;
SELECT fails('SET clustering.progress_interval = -1');
SET clustering.progress_interval = '10s';
SHOW clustering.progress_interval;
SELECT fails('SET clustering.max_parallel_workers = 1025'), fails('SET clustering.no_such_setting = 1');

DROP FUNCTION results(text), temp_blocks(text), fails(text);
DROP TABLE point, bits;

--
-- fits over a query, one scan per iteration
--
CREATE TABLE query_rows AS
	SELECT i, ARRAY[i % 5 * 4 + sin(i), i % 3 * 4 + cos(i * i), sin(i * 7)] AS x, i % 4 + 1 AS w
	FROM generate_series(1, 1000) i;
-- more distinct rows than a sample has room for
CREATE TABLE query_many AS
	SELECT i, ARRAY[i % 4 * 10 + sin(i), i % 3 * 10 + cos(i)] AS x, (i % 5 + 1)::numeric AS w,
		   translate(((i * 7919 + i / 13) % 1048576 | CASE i % 2 WHEN 0 THEN 1047552 ELSE 0 END)::bit(20)::text, '', '')::bit(20) AS bits
	FROM generate_series(1, 30000) i;
CREATE FUNCTION centers(m bytea) RETURNS text LANGUAGE sql AS
	'SELECT string_agg(center::text, '';'' ORDER BY cluster) FROM cluster_components(m)';
CREATE FUNCTION sizes(m bytea) RETURNS float8[] LANGUAGE sql AS
	'SELECT array_agg(size ORDER BY cluster) FROM cluster_components(m)';
CREATE FUNCTION objective(m bytea) RETURNS float8 LANGUAGE sql AS 'SELECT objective FROM cluster_info(m)';

-- few distinct rows: the fit in memory, byte for byte
SELECT kmeans_fit_query('SELECT x FROM query_rows', 4) = (SELECT kmeans_fit(x, 4) FROM query_rows) AS plain,
	   kmeans_fit_query('SELECT x, w FROM query_rows', 4, '{"seed": 3}') = (SELECT kmeans_fit(x, 4, '{"seed": 3}', w) FROM query_rows) AS weighted,
	   gmm_fit_query('SELECT x FROM query_rows', 2) = (SELECT gmm_fit(x, 2) FROM query_rows) AS gmm,
	   bernoulli_fit_query('SELECT ARRAY[i % 2, i % 3 / 2, i % 5 / 3] FROM query_rows', 2)
	   = (SELECT bernoulli_fit(ARRAY[i % 2, i % 3 / 2, i % 5 / 3], 2) FROM query_rows) AS bernoulli;
SELECT (i).rows, (i).skipped, (i).total_weight
FROM (SELECT cluster_info(kmeans_fit_query('SELECT CASE WHEN i > 3 THEN x END, w / 3.0 FROM query_rows', 4)) AS i) s;
-- two rows of weight 1/2 are two, as in the aggregate, though they weigh as much as one
SELECT (cluster_info(kmeans_fit_query('SELECT ARRAY[x], w FROM (VALUES (1, 0.5), (1, 0.5), (2, 1)) AS v (x, w)', 1))).rows,
	(SELECT (cluster_info(kmeans_fit(ARRAY[x], 1, '{}', w))).rows FROM (VALUES (1, 0.5), (1, 0.5), (2, 1)) AS v (x, w)) AS by_aggregate;

-- many: passes, to the fixed point that the fit in memory reaches from the same start
CREATE TABLE query_start AS SELECT kmeans_model(array_agg(x ORDER BY i)) AS m FROM query_many WHERE i <= 12;
SELECT centers(a) = centers(b) AS same, (i).iterations = (j).iterations AS refits, (i).converged, (i).objective = (j).objective AS objective,
	   (SELECT array_agg((iteration, objective) ORDER BY iteration) FROM cluster_trace(a))
	   = (SELECT array_agg((iteration, objective) ORDER BY iteration) FROM cluster_trace(b)) AS trace
FROM (SELECT a, b, cluster_info(a) AS i, cluster_info(b) AS j
	  FROM (SELECT kmeans_fit_query('SELECT x FROM query_many', m) AS a, (SELECT kmeans_fit(x, m) FROM query_many) AS b FROM query_start) s) t;
SELECT centers(a) = centers(b) AS same, (i).iterations, (i).converged, (j).converged
FROM (SELECT a, b, cluster_info(a) AS i, cluster_info(b) AS j
	  FROM (SELECT kmeans_fit_query('SELECT x, w FROM query_many', m, '{"max_iter": 1}') AS a,
				   (SELECT kmeans_fit(x, m, '{"max_iter": 1}', w::float8) FROM query_many) AS b
			FROM (SELECT kmeans_model('{{0,0},{1,1},{5,5}}') AS m) s) s) t;

-- K-medians: several passes for each refit, and the last one may be needed to see that nothing moves
CREATE TABLE query_medians AS SELECT kmedians_model('{{0,0},{1,1},{2,2},{3,3},{30,30}}') AS m;
SELECT centers(a) = centers(b) AS same, (j).iterations - (i).iterations IN (0, 1) AS refits, (i).converged, (i).rows, (i).objective = (j).objective AS objective,
	   (SELECT count(*) FROM cluster_trace(a)) = (i).iterations AS traced, (SELECT bool_and(falls) FROM (SELECT objective <= lag(objective) OVER (ORDER BY iteration) AS falls FROM cluster_trace(a)) t) AS falls
FROM (SELECT a, b, cluster_info(a) AS i, cluster_info(b) AS j
	  FROM (SELECT kmedians_fit_query('SELECT x FROM query_many', m) AS a, (SELECT kmedians_fit(x, m) FROM query_many) AS b FROM query_medians) s) t;
SELECT centers(a) = centers(b) AS same, (i).iterations, (i).converged, (j).converged, (i).objective = (j).objective AS objective
FROM (SELECT a, b, cluster_info(a) AS i, cluster_info(b) AS j
	  FROM (SELECT kmedians_fit_query('SELECT x, w FROM query_many', m, '{"max_iter": 3}') AS a,
				   (SELECT kmedians_fit(x, m, '{"max_iter": 3}', w::float8) FROM query_many) AS b FROM query_medians) s) t;
SELECT (i).converged, (i).iterations < (j).iterations AS earlier
FROM (SELECT cluster_info(kmedians_fit_query('SELECT x FROM query_many', m, '{"tol": 0.01}')) AS i, cluster_info(kmedians_fit_query('SELECT x FROM query_many', m)) AS j FROM query_medians) s;
SELECT objective(a) < 1.001 * objective(b) AS as_good, (i).k, (i).rows, (i).converged
FROM (SELECT a, b, cluster_info(a) AS i
	  FROM (SELECT kmedians_fit_query('SELECT x FROM query_many', 12) AS a, (SELECT kmedians_fit(x, 12) FROM query_many) AS b) s) t;
SELECT kmedians_fit_query('SELECT x, w FROM query_many', 12) = kmedians_fit_query('SELECT x, w FROM query_many ORDER BY w, i DESC', 12) AS same,
	   kmedians_fit_query('SELECT x, w FROM query_rows', 4) = (SELECT kmedians_fit(x, 4, '{}', w) FROM query_rows) AS in_memory;
SELECT (a).k, (a).converged FROM (SELECT cluster_info(kmedians_fit_query('SELECT x FROM query_many', 5, '{"init": "random", "seed": 8}')) AS a) s;
SELECT (i).rows, (i).skipped FROM (SELECT cluster_info(kmedians_fit_query($$SELECT ARRAY[i, CASE WHEN i > 5 THEN 1 END] FROM query_many$$, 2, '{"invalid": "skip"}')) AS i) s;
SELECT kmedians_fit_query('SELECT x FROM query_rows WHERE false', 1) IS NULL AS nothing, kmedians_fit_query('SELECT x FROM query_rows WHERE false', kmedians_model('{{0,0,0}}')) IS NULL AS from_start;
-- other rows in each pass
SELECT kmedians_fit_query('SELECT ARRAY[' || repeat('random(), ', 24) || '0] FROM query_rows', kmedians_model(ARRAY[array_fill(0::float8, ARRAY[25])]));
-- rows that are gone in a later pass, or have become NULL
CREATE FUNCTION query_pass(last integer, nulls boolean) RETURNS SETOF float8[] LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	PERFORM set_config('test.pass', (current_setting('test.pass')::integer + 1)::text, false);
	IF current_setting('test.pass')::integer <= last THEN
		RETURN QUERY SELECT ARRAY[i, i * 7919 % 1000]::float8[] FROM generate_series(1, 25000) AS i;
	ELSIF nulls THEN
		RETURN NEXT NULL;
	END IF;
END $$;
CREATE FUNCTION vanishing(f text, last integer, nulls boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	made   boolean;
BEGIN
	PERFORM set_config('test.pass', '0', false);
	EXECUTE 'SELECT ' || format(f, quote_literal(format('SELECT x FROM query_pass(%s, %L) AS x', last, nulls))) || ' IS NOT NULL' INTO made;
	RETURN CASE WHEN made THEN 'fitted' ELSE 'nothing' END;
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END $$;
SET client_min_messages = error;
SELECT f, outcome, array_agg(DISTINCT last ORDER BY last) AS passes_with_rows
FROM unnest(ARRAY['kmeans_fit_query(%s, 3, ''{"max_iter": 2}'')', 'kmeans_fit_query(%s, 3, ''{"max_iter": 2, "init": "random"}'')',
	'kmedians_fit_query(%s, 3, ''{"max_iter": 1}'')', 'gmm_fit_query(%s, 2, ''{"max_iter": 1}'')',
	'kmeans_fit_query(%s, kmeans_model(''{{0,0},{20000,0}}''), ''{"max_iter": 1}'')']) AS f,
	unnest(ARRAY[false, true]) AS nulls, generate_series(0, 9) AS last,
	LATERAL (SELECT vanishing(f, last, nulls) AS outcome) AS o
GROUP BY f, outcome ORDER BY f, 3;
RESET client_min_messages;
DROP FUNCTION vanishing, query_pass;

-- from k: close to the fit in memory, numbered by size, and always the same model
SELECT objective(a) < 1.001 * objective(b) AS as_good, (i).k, (i).rows, (i).converged
FROM (SELECT a, b, cluster_info(a) AS i
	  FROM (SELECT kmeans_fit_query('SELECT x FROM query_many', 12) AS a, (SELECT kmeans_fit(x, 12) FROM query_many) AS b) s) t;
SELECT bool_and(size >= next) FROM (SELECT size, lead(size) OVER (ORDER BY cluster) AS next
	FROM cluster_components(kmeans_fit_query('SELECT x, w FROM query_many', 12))) s;
SELECT kmeans_fit_query('SELECT x, w FROM query_many', 12) = kmeans_fit_query('SELECT x, w FROM query_many ORDER BY w, i DESC', 12) AS same;
SELECT (a).k, (a).converged FROM (SELECT cluster_info(kmeans_fit_query('SELECT x FROM query_many', 5, '{"init": "random", "seed": 8}')) AS a) s;
SELECT abs(objective(a) / objective(b) - 1) < 1e-3 AS as_good, (i).log_likelihood = -(i).objective AS likelihood, (i).aic IS NOT NULL AS aic
FROM (SELECT a, b, cluster_info(a) AS i
	  FROM (SELECT gmm_fit_query('SELECT x FROM query_many', 12) AS a, (SELECT gmm_fit(x, 12) FROM query_many) AS b) s) t;
SELECT abs(objective(bernoulli_fit_query('SELECT bits FROM query_many', 2)) / objective((SELECT bernoulli_fit(bits, 2) FROM query_many)) - 1) < 1e-3 AS as_good;
SELECT abs(objective(kmeans_fit_query('SELECT x FROM query_many', 12, '{"beta": 1}')) / objective((SELECT kmeans_fit(x, 12, '{"beta": 1}') FROM query_many)) - 1) < 1e-3 AS as_good;

-- rows between centres belong to the one with the lower number: from the model as it is numbered nothing moves
CREATE TABLE query_grid AS SELECT ARRAY[i % 160, i / 160] AS x FROM generate_series(0, 25599) i;
SELECT k, (i).converged, (j).iterations, (i).objective = (j).objective AS objective, sizes(a) = sizes(b) AND centers(a) = centers(b) AS same,
	   sizes(a) = (SELECT array_agg(size ORDER BY size DESC) FROM cluster_components(a)) AS by_size
FROM (SELECT k, a, b, cluster_info(a) AS i, cluster_info(b) AS j
	  FROM (SELECT k, a, (SELECT kmedians_fit(x, a) FROM query_grid) AS b
			FROM (SELECT k, kmedians_fit_query('SELECT x FROM query_grid', k, '{"seed": 1}') AS a FROM unnest('{2,3,5}'::integer[]) k OFFSET 0) s OFFSET 0) s OFFSET 0) t;

-- of a start model, the options aren't taken over, but the structure is
SELECT (i).options ->> 'covariance' AS covariance, (i).options ->> 'max_iter' AS max_iter
FROM (SELECT cluster_info(gmm_fit_query('SELECT x FROM query_rows', gmm_model(NULL, '{{0,0,0},{8,4,0}}', '{{9,9,1},{9,9,1}}', 'diag'))) AS i) s;

-- invalid points are errors, or are skipped, in samples and in passes
SELECT kmeans_fit_query($$SELECT ARRAY[i, 'NaN'::float8] FROM query_rows$$, 2);
SELECT (i).rows, (i).skipped FROM (SELECT cluster_info(kmeans_fit_query($$SELECT ARRAY[i, CASE WHEN i > 5 THEN 1 END] FROM query_rows$$, 2, '{"invalid": "skip"}')) AS i) s;
SELECT (i).rows, (i).skipped FROM (SELECT cluster_info(kmeans_fit_query($$SELECT ARRAY[i, CASE WHEN i > 5 THEN 1 END] FROM query_many$$, 2, '{"invalid": "skip"}')) AS i) s;

-- any query will do: a semicolon, a comment, VALUES, WITH, types that need a cast
SELECT (cluster_info(kmeans_fit_query(q, 1))).rows
FROM unnest(ARRAY[
	'SELECT x FROM query_rows ; ',
	'SELECT x FROM query_rows -- all of it',
	'SELECT x FROM query_rows; -- all of it;',
	' /* all of it */ SELECT x FROM query_rows;; /* indeed */',
	'VALUES (ARRAY[1]), (ARRAY[2])',
	'WITH t AS (SELECT ARRAY[1.5, 2]) SELECT * FROM t',
	'SELECT ARRAY[i]::smallint[], 1::real FROM query_rows',
	'SELECT ARRAY[i % 2 = 0] FROM query_rows']) q;
SELECT kmeans_fit_query('SELECT x FROM query_rows WHERE false', 1) IS NULL AS nothing, kmeans_fit_query('SELECT NULL::float8[]', 1) IS NULL AS no_points,
	   kmeans_fit_query('SELECT x FROM query_rows WHERE false', kmeans_model('{{0,0,0}}')) IS NULL AS from_start;

-- it doesn't depend on the search_path, but for the query
CREATE SCHEMA elsewhere;
CREATE FUNCTION elsewhere.cluster_step_final(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea';
CREATE FUNCTION elsewhere.kmeans_fit(float8[], integer, jsonb, float8) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea';
SET search_path = elsewhere;
SELECT public.kmeans_fit_query('SELECT x FROM public.query_many', 4) IS NOT NULL AS fitted;
SELECT public.kmeans_fit_query('SELECT x FROM query_many', 4);
RESET search_path;
DROP FUNCTION elsewhere.cluster_step_final, elsewhere.kmeans_fit;
DROP SCHEMA elsewhere;

-- it sees what the statement that calls it sees, with the rights of the caller
WITH new AS (INSERT INTO query_rows SELECT -i, x FROM query_rows RETURNING 1)
SELECT (cluster_info(kmeans_fit_query('SELECT x FROM query_rows', 2))).rows, (SELECT count(*) FROM new) AS inserted;
DELETE FROM query_rows WHERE i < 0;
CREATE ROLE query_nobody;
SET ROLE query_nobody;
SELECT kmeans_fit_query('SELECT x FROM query_rows', 2);
RESET ROLE;
DROP ROLE query_nobody;

-- errors
SELECT kmeans_fit_query(NULL, 2);
SELECT kmeans_fit_query('SELECT x FROM query_rows', NULL::integer);
SELECT kmeans_fit_query('SELECT x FROM query_rows', NULL::bytea);
SELECT kmeans_fit_query('SELECT x FROM query_rows', 0);
SELECT kmeans_fit_query('SELECT x FROM query_rows', 2, '{"sed": 1}');
SELECT kmeans_fit_query('SELECT x FROM query_rows LIMIT 3', 4);
SELECT kmeans_fit_query('SELECT i, x, w FROM query_rows', 2);
SELECT kmeans_fit_query('SELECT FROM query_rows', 2);
SELECT kmeans_fit_query('SELECT i AS "my id" FROM query_rows', 2);
SELECT kmeans_fit_query('SELECT x, x AS y FROM query_rows', 2);
SELECT kmeans_fit_query('SELECT bits FROM query_many', 2);
SELECT kmeans_fit_query('SELECT x FROM query_rows) q; DROP TABLE query_rows; --', 2);
SELECT kmeans_fit_query('SELECT 1; SELECT 2', 2);
SELECT kmeans_fit_query('', 2);
SELECT kmeans_fit_query('DELETE FROM query_rows RETURNING x', 2);
SELECT kmeans_fit_query('SELECT x FROM query_rows WHERE i = $1', 2);
SELECT kmeans_fit_query('SELECT x, w - 2 FROM query_rows', 2);
SELECT kmeans_fit_query('SELECT ARRAY[1, 2] UNION ALL SELECT ARRAY[1]', 1);
SELECT kmeans_fit_query('SELECT x FROM query_rows', kmeans_model('{{0}}'));
SELECT kmeans_fit_query('SELECT x FROM query_rows', gmm_model(NULL, '{{0}}', '{1}', 'spherical'));
SELECT gmm_fit_query('SELECT x FROM query_rows', gmm_model(NULL, '{{0}}', '{1}', 'spherical'), '{"covariance": "tied"}');
SELECT bernoulli_fit_query('SELECT ARRAY[2]', 1);

-- samples: values like any other, and not believed
CREATE TABLE query_sketch AS SELECT cluster_sketch(x, NULL, 50, 1, 0, 1) AS s FROM query_rows;
SELECT count(*), count(DISTINCT x) FROM query_sketch, cluster_sketch_rows(s);
SELECT (SELECT array_agg(x) FROM cluster_sketch_rows(cluster_sketch_combine(cluster_sketch_combine(a, b), c)))
	 = (SELECT array_agg(x) FROM cluster_sketch_rows(s)) AS merged
FROM query_sketch, (SELECT cluster_sketch(x, NULL, 50, 1, 0, 1) FILTER (WHERE i % 3 = 0) AS a, cluster_sketch(x, NULL, 50, 1, 0, 1) FILTER (WHERE i % 3 = 1) AS b,
	  cluster_sketch(x, NULL, 50, 1, 0, 1) FILTER (WHERE i % 3 = 2) AS c FROM query_rows) t;
CREATE FUNCTION sketch_refused(state bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM count(*) FROM cluster_sketch_rows(state);
	PERFORM cluster_sketch_combine(state, state);
	RETURN 'taken';
EXCEPTION WHEN data_corrupted OR invalid_parameter_value OR program_limit_exceeded THEN
	RETURN 'refused';
END $$;
SELECT bool_and(sketch_refused(substr(s, 1, l)) = 'refused') AS truncated FROM query_sketch, generate_series(0, length(s) - 1, 7) l;
SELECT count(sketch_refused(set_byte(s, b, 255))) = count(*) AS changed, count(sketch_refused(set_byte(s, b, get_byte(s, b) # 128))) = count(*) AS flipped
FROM query_sketch, generate_series(0, length(s) - 1, 1) b;

DROP TABLE query_rows, query_many, query_grid, query_start, query_medians, query_sketch;
DROP FUNCTION centers, sizes, objective, sketch_refused;

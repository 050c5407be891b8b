--
-- cluster_step of K-medians: passes that look for the medians, and refits when all are found
--
CREATE TABLE median_rows AS
	SELECT i, ARRAY[i % 5 * 4 + sin(i), i % 3 * 4 + cos(i * i), i % 10]::float8[] AS x, i % 4 + 1 AS w,
		   ARRAY(SELECT (i * j * 7919 + i * i) % 11 < 2 + 6 * ((i + j) % 2) FROM generate_series(1, 9) j) AS bits
	FROM generate_series(1, 1000) i;
CREATE TABLE median_start AS SELECT kmedians_model('{{0,0,0},{8,4,0},{16,8,0},{4,8,0}}') AS m;
CREATE FUNCTION centers(m bytea) RETURNS text LANGUAGE sql AS
	'SELECT string_agg(center::text, '';'' ORDER BY cluster) FROM cluster_components(m)';
-- steps over a query "SELECT cluster_step(..., $1)" until the fit is at its end, or so many refits are done
CREATE FUNCTION median_loop(query text, m bytea, refits integer DEFAULT 1000) RETURNS bytea LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 1000 LOOP
		EXECUTE query INTO m USING m;
		EXIT WHEN (cluster_info(m)).converged OR (cluster_info(m)).iterations = refits;
	END LOOP;
	RETURN m;
END $$;

-- few values far apart are found in the first pass: medians, and the midpoint where the halves balance
SELECT iterations, converged, objective FROM cluster_info((SELECT cluster_step(ARRAY[v], kmedians_model('{{0},{1e6}}')) FROM unnest('{1,100,1e6,1e9,1e12}'::float8[]) v));
SELECT cluster, size, center, objective FROM cluster_components((SELECT cluster_step(ARRAY[v], kmedians_model('{{0},{1e6}}')) FROM unnest('{1,100,1e6,1e9,1e12}'::float8[]) v));

-- a pass on the way to a refit: no refit yet, the same centres, and the figures that belong to them
SELECT iterations, converged, centers(m) = centers(s) AS same, round(objective::numeric, 3) AS objective,
	   (SELECT sum(least(cluster_distance(m, x))) FROM median_rows)::numeric(9, 3) AS distances
FROM (SELECT m, cluster_step(x, m) AS s FROM median_rows, median_start GROUP BY m) t, cluster_info(s);

-- then the centres move to what kmedians_fit makes of one refit, and a trace entry says how good they are
SELECT centers(a) = centers(b) AS same, (cluster_info(b)).iterations,
	   (SELECT round(t.objective::numeric, 6) FROM cluster_trace(c) t) = (SELECT round(i.objective::numeric, 6) FROM cluster_info(a) i) AS objective
FROM (SELECT a, b, (SELECT cluster_step(x, b) FROM median_rows) AS c
	  FROM (SELECT (SELECT kmedians_fit(x, m, '{"max_iter": 1}') FROM median_rows) AS a,
				   median_loop('SELECT cluster_step(x, $1) FROM median_rows', m, 1) AS b FROM median_start) s) t;

-- a loop is a fit: the same centres, to the last bit
SELECT centers(a) = centers(b) AS same, (i).converged, (i).iterations - (j).iterations IN (0, 1) AS refits, (i).objective = (j).objective AS objective
FROM (SELECT a, b, cluster_info(b) AS i, cluster_info(a) AS j
	  FROM (SELECT (SELECT kmedians_fit(x, m) FROM median_rows) AS a, median_loop('SELECT cluster_step(x, $1) FROM median_rows', m) AS b FROM median_start) s) t;

-- also with weights, which count like rows, and where clusters are empty at first
SELECT centers(a) = centers(b) AS weighted, centers(b) = centers(c) AS rows
FROM (SELECT (SELECT kmedians_fit(x, m, '{}', w / 8.0) FROM median_rows) AS a, median_loop('SELECT cluster_step(x, $1, w / 8.0::float8) FROM median_rows', m) AS b,
			 median_loop('SELECT cluster_step(x, $1) FROM median_rows, generate_series(1, w)', m) AS c FROM median_start) s;
SELECT centers(a) = centers(b) AS same
FROM (SELECT (SELECT kmedians_fit(x, m) FROM median_rows) AS a, median_loop('SELECT cluster_step(x, $1) FROM median_rows', m) AS b
	  FROM (SELECT kmedians_model('{{0,0,0},{1000,0,0},{2000,0,0},{8,4,0},{-1e9,0,0}}') AS m) s) s;
-- bits, as booleans or numbers; NULLs, weights of 0, and invalid points
SELECT centers(median_loop('SELECT cluster_step(bits, $1) FROM median_rows', m)) = centers(median_loop('SELECT cluster_step(bits::int[]::real[], $1) FROM median_rows', m)) AS types
FROM (SELECT kmedians_model('{{0,0,0,0,0,0,0,0,0},{1,0,1,0,1,0,1,0,1}}') AS m) s;
SELECT (i).rows, (i).skipped, (i).total_weight
FROM (SELECT cluster_info(cluster_step(x, kmedians_model('{{0},{10}}'), w)) AS i
	  FROM (VALUES ('{1}'::float8[], 3::float8), ('{2}', 1), ('{9}', 0.5), (NULL, 1), ('{5}', NULL), ('{5}', 0)) v(x, w)) s;
SELECT (cluster_info(cluster_step(x, m))).skipped
FROM (VALUES ('{1}'::float8[]), ('{NaN}'), ('{2}')) v(x), (SELECT kmedians_fit(ARRAY[1], 1, '{"invalid": "skip"}') AS m) s;
SELECT cluster_step(x, kmedians_model('{{0}}')) FROM (VALUES ('{1}'::float8[]), ('{NaN}')) v(x);
SELECT cluster_step(x, m) IS NULL FROM median_rows, median_start WHERE false GROUP BY m;
SELECT cluster_step(x, m) IS NULL AS no_rows FROM (SELECT NULL::float8[] AS x) s, median_start GROUP BY m;

-- tol: the end is when a refit gains little
SELECT (i).converged, (i).iterations < (SELECT iterations FROM cluster_info(median_loop('SELECT cluster_step(x, $1) FROM median_rows', m))) AS earlier
FROM (SELECT cluster_info(median_loop('SELECT cluster_step(x, $1) FROM median_rows', m)) AS i FROM
	  (SELECT kmedians_fit(x, k, '{"tol": 0.05, "max_iter": 1, "init": "random"}') AS m FROM median_rows, (SELECT 7 AS k) k GROUP BY k) s) t,
	 (SELECT kmedians_fit(x, k, '{"max_iter": 1, "init": "random"}') AS m FROM median_rows, (SELECT 7 AS k) k GROUP BY k) u;

-- the states of any division of the rows, combined in any order and tree, give the same bytes, in each pass
CREATE TABLE median_models AS WITH RECURSIVE steps AS (
	SELECT 0 AS pass, m FROM median_start
	UNION ALL SELECT pass + 1, (SELECT cluster_step(x, m, w / 3.0::float8) FROM median_rows) FROM steps WHERE pass < 4)
SELECT * FROM steps;
CREATE TABLE median_states AS
	SELECT pass, n, g, cluster_step_partial(x, m, w / 3.0::float8) AS s
	FROM median_rows, median_models, (VALUES (1), (3), (10)) v(n), LATERAL (SELECT i % n AS g) h GROUP BY pass, n, g;
SELECT pass, bool_and(cluster_step_merge = m) AS merged, bool_and(backwards = m) AS backwards
FROM (SELECT pass, n, cluster_step_merge(s ORDER BY g), cluster_step_merge(s ORDER BY -g) AS backwards FROM median_states GROUP BY pass, n) t
JOIN (SELECT pass - 1 AS pass, m FROM median_models) u USING (pass) GROUP BY pass ORDER BY pass;
SELECT cluster_step_final(cluster_step_combine(cluster_step_combine(a, b), c)) =
	   cluster_step_final(cluster_step_combine(c, cluster_step_combine(b, a))) AS tree
FROM (SELECT string_agg(s, '') FILTER (WHERE g = 0) AS a, string_agg(s, '') FILTER (WHERE g = 1) AS b,
			 string_agg(s, '') FILTER (WHERE g = 2) AS c
	  FROM median_states WHERE pass = 1 AND n = 3) t;
SELECT count(DISTINCT md5(m)) = count(*) AS passes_differ, count(DISTINCT (cluster_info(m)).iterations) AS refits FROM median_models;

-- a model between refits is a model like any other: it's applied, looked into, copied as JSON, and fits start from it
SELECT bool_and(cluster_predict(a.m, x) = cluster_predict(b.m, x)) AS predicted
FROM median_rows, (SELECT m FROM median_models WHERE pass = 0) a, (SELECT m FROM median_models WHERE pass = 1) b;
SELECT pass, cluster_from_json(cluster_to_json(m)) = m AS json, cluster_to_json(m) -> 'brackets' AS brackets FROM median_models ORDER BY pass;
SELECT kmedians_fit(x, a.m) = kmedians_fit(x, b.m) AS fits
FROM median_rows, (SELECT m FROM median_models WHERE pass = 0) a, (SELECT m FROM median_models WHERE pass = 1) b GROUP BY a.m, b.m;
-- a row that an empty cluster is to take
SELECT cluster_to_json(m) -> 'brackets' AS brackets, cluster_from_json(cluster_to_json(m)) = m AS json
FROM (SELECT cluster_step(ARRAY[v], kmedians_model('{{0},{1e9}}')) AS m FROM unnest('{1,2,9}'::float8[]) v) s;
-- what brackets can't be in JSON
SELECT cluster_from_json(cluster_to_json(m) #- '{clusters,0,brackets}') FROM median_models WHERE pass = 1;
SELECT cluster_from_json(cluster_to_json(m) - 'brackets') FROM median_models WHERE pass = 1;
SELECT cluster_from_json(jsonb_set(cluster_to_json(m), '{clusters,0,brackets,0}', '[2, 1]')) FROM median_models WHERE pass = 1;
SELECT cluster_from_json(jsonb_set(cluster_to_json(m), '{clusters,0,brackets,0}', '[1]')) FROM median_models WHERE pass = 1;
SELECT cluster_from_json(jsonb_set(cluster_to_json(m), '{brackets,moved}', '5')) FROM median_models WHERE pass = 1;
SELECT cluster_from_json(jsonb_set(cluster_to_json(m), '{converged}', 'true')) FROM median_models WHERE pass = 1;
SELECT cluster_from_json(jsonb_set(cluster_to_json(m), '{brackets,taken}', '[{"row": [1,2,3], "cluster": 2}, {"row": [1,2,3], "cluster": 1}]')) FROM median_models WHERE pass = 1;
SELECT cluster_from_json(jsonb_set(cluster_to_json(kmeans_fit(x, 2)), '{brackets}', '{}')) FROM median_rows;

-- brackets are hints: those of other rows lead to the same medians
SELECT centers(median_loop('SELECT cluster_step(x, $1) FROM median_rows WHERE i % 3 = 0', a.m, 1)) = centers(median_loop('SELECT cluster_step(x, $1) FROM median_rows WHERE i % 3 = 0', b.m, 1)) AS same
FROM (SELECT m FROM median_models WHERE pass = 0) a, (SELECT m FROM median_models WHERE pass = 1) b;

-- errors
SELECT cluster_step(x, kmedians_model('{{0,0}}')) FROM median_rows;
SELECT cluster_step(B'101'::varbit, kmedians_model('{{0,0,0}}'));
SELECT cluster_step('{1}'::float8[], kmedians_model('{{0}}'), -1);
SELECT cluster_step(ARRAY[v], kmedians_model('{{0}}'), v) FROM unnest('{1e-10,1e10}'::float8[]) v;
SELECT cluster_step(array_fill(0::float8, ARRAY[16000]), kmedians_model(array_fill(0::float8, ARRAY[100, 16000])));

-- hostile states: refused, or sums that nobody can tell are wrong, but never a crash or an internal error
CREATE FUNCTION refused(state bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cluster_step_final(state);
	PERFORM cluster_step_combine(state, state);
	RETURN 'taken';
EXCEPTION WHEN data_corrupted OR feature_not_supported OR invalid_parameter_value OR numeric_value_out_of_range THEN
	RETURN 'refused';
END $$;
SELECT bool_and(refused(substr(s, 1, l)) = 'refused') AS truncated, refused(s || '\x00') FROM median_states, generate_series(0, length(s) - 1, 20011) l
WHERE n = 1 AND pass = 1 GROUP BY s;
SELECT count(refused(set_byte(s, b, 255))) = count(*) AS changed, count(refused(set_byte(s, b, get_byte(s, b) # 128))) = count(*) AS flipped
FROM median_states, generate_series(0, length(s) - 1, 9973) b WHERE n = 1 AND pass = 1;
SELECT count(refused(set_byte(s, b, 255))) = count(*) AS header FROM median_states, generate_series(0, 2000, 17) b WHERE n = 1 AND pass = 1;

DROP TABLE median_rows, median_start, median_models, median_states;
DROP FUNCTION centers, median_loop, refused;

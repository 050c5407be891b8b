--
-- cluster_step: one refit, in pieces
--
CREATE TABLE step_rows AS
	SELECT i, ARRAY[i % 5 * 4 + sin(i), i % 3 * 4 + cos(i * i), sin(i * 7)] AS x, i % 4 + 1 AS w,
		   ARRAY(SELECT (i * j * 7919 + i * i) % 11 < 2 + 6 * ((i + j) % 2) FROM generate_series(1, 9) j) AS bits
	FROM generate_series(1, 1000) i;
CREATE TABLE step_start AS
	SELECT 'kmeans' AS name, kmeans_model('{{0,0,0},{8,4,0},{16,8,0},{4,8,0}}') AS m
	UNION ALL SELECT 'gmm', gmm_model(NULL, '{{0,0,0},{8,4,0},{16,8,0}}', '{{9,9,1},{9,9,1},{9,9,1}}', 'diag')
	UNION ALL SELECT 'soft', kmeans_fit(x, 3, '{"beta": 1, "max_iter": 300}') FROM step_rows WHERE i <= 50;

-- one step is one refit
SELECT algorithm, rows, iterations, converged, objective
FROM cluster_info((SELECT cluster_step(ARRAY[v], kmeans_model('{{0},{10}}')) FROM unnest('{1,2,9}'::float8[]) v));
SELECT cluster, size, center, objective
FROM cluster_components((SELECT cluster_step(ARRAY[v], kmeans_model('{{0},{10}}')) FROM unnest('{1,2,9}'::float8[]) v));

-- weights count like rows; NULL points, and weights of NULL or 0, are skipped
SELECT cluster, size, center, objective
FROM cluster_components((
	SELECT cluster_step(x, kmeans_model('{{0},{10}}'), w)
	FROM (VALUES ('{1}'::float8[], 3::float8), ('{2}', 1), ('{9}', 0.5), (NULL, 1), ('{5}', NULL), ('{5}', 0)) v(x, w)));
SELECT (i).rows, (i).skipped, (i).total_weight
FROM (SELECT cluster_info(cluster_step(x, kmeans_model('{{0},{10}}'), w)) AS i
	  FROM (VALUES ('{1}'::float8[], 3::float8), ('{2}', 1), ('{9}', 0.5), (NULL, 1), ('{5}', NULL), ('{5}', 0)) v(x, w)) s;

-- no rows, or none that count: NULL
SELECT cluster_step(x, (SELECT m FROM step_start WHERE name = 'kmeans')) IS NULL FROM step_rows WHERE false;
SELECT cluster_step(NULL::float8[], (SELECT m FROM step_start WHERE name = 'kmeans')) IS NULL FROM step_rows;

-- real and boolean arrays are the same points
SELECT cluster_step(bits, m) = cluster_step(bits::int[]::float8[], m) AND cluster_step(bits, m) = cluster_step(bits::int[]::real[], m)
FROM step_rows, (SELECT kmeans_model('{{0,0,0,0,0,0,0,0,0},{1,0,1,0,1,0,1,0,1}}') AS m) s;

-- a loop of steps is a fit: the same centres, to the last bit, and one more refit that moves none
CREATE FUNCTION step_loop(m bytea, most integer) RETURNS bytea LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. most LOOP
		m := (SELECT cluster_step(x, m) FROM step_rows);
		EXIT WHEN (cluster_info(m)).converged;
	END LOOP;
	RETURN m;
END $$;
CREATE FUNCTION centers(m bytea) RETURNS text LANGUAGE sql AS
	'SELECT string_agg(center::text, '';'' ORDER BY cluster) FROM cluster_components(m)';
SELECT centers(a) = centers(b), (cluster_info(a)).iterations + 1 = (cluster_info(b)).iterations,
	   (cluster_info(a)).objective = (cluster_info(b)).objective,
	   (SELECT count(*) FROM cluster_trace(a)) + 1 = (SELECT count(*) FROM cluster_trace(b))
FROM (SELECT (SELECT kmeans_fit(x, m) FROM step_rows) AS a, step_loop(m, 100) AS b FROM step_start WHERE name = 'kmeans') s;

-- also where clusters are empty at first, which take the farthest rows
SELECT centers(a) = centers(b)
FROM (SELECT (SELECT kmeans_fit(x, m) FROM step_rows) AS a, step_loop(m, 100) AS b
	  FROM (SELECT kmeans_model('{{0,0,0},{1000,0,0},{2000,0,0},{8,4,0},{-1e9,0,0}}') AS m) s) s;

-- the states of any division of the rows, combined in any order and tree, are the same
CREATE TABLE step_states AS
	SELECT name, n, g, cluster_step_partial(x, m) AS s, cluster_step_partial(x, m, w / 3.0::float8) AS sw
	FROM step_rows, step_start, (VALUES (1), (3), (10)) v(n), LATERAL (SELECT i % n AS g) h GROUP BY name, n, g;
SELECT name, n, cluster_step_merge(s ORDER BY g) = whole AND cluster_step_merge(s ORDER BY -g) = whole,
	   cluster_step_merge(sw ORDER BY g) = weighted
FROM step_states JOIN (SELECT name, cluster_step(x, m) AS whole, cluster_step(x, m, w / 3.0::float8) AS weighted
					   FROM step_rows, step_start GROUP BY name) t USING (name)
WHERE name = 'kmeans' GROUP BY name, n, whole, weighted ORDER BY n;
SELECT cluster_step_final(cluster_step_combine(cluster_step_combine(a, b), c)) =
	   cluster_step_final(cluster_step_combine(c, cluster_step_combine(b, a)))
FROM (SELECT string_agg(s, '') FILTER (WHERE g = 0) AS a, string_agg(s, '') FILTER (WHERE g = 1) AS b,
			 string_agg(s, '') FILTER (WHERE g = 2) AS c
	  FROM step_states WHERE name = 'kmeans' AND n = 3) t;
SELECT cluster_step_combine(NULL, s) = s, cluster_step_combine(s, NULL) = s, cluster_step_combine(NULL, NULL) IS NULL
FROM step_states WHERE name = 'gmm' AND n = 1;

-- those of mixtures and soft K-means but for rounding
CREATE FUNCTION difference(a bytea, b bytea) RETURNS float8 LANGUAGE sql AS $$
	SELECT max(abs(p.v - q.v) / (1e-3 + abs(p.v)))
	FROM (SELECT cluster, o, v::float8 FROM cluster_components(a),
		  unnest(string_to_array(translate(concat_ws(',', weight, center, covariance), '{}', ''), ',')) WITH ORDINALITY u(v, o)) p
	JOIN (SELECT cluster, o, v::float8 FROM cluster_components(b),
		  unnest(string_to_array(translate(concat_ws(',', weight, center, covariance), '{}', ''), ',')) WITH ORDINALITY u(v, o)) q
	USING (cluster, o)
$$;
SELECT name, n, difference(cluster_step_merge(s), whole) < 1e-12, difference(cluster_step_merge(sw), weighted) < 1e-12
FROM step_states JOIN (SELECT name, cluster_step(x, m) AS whole, cluster_step(x, m, w / 3.0::float8) AS weighted
					   FROM step_rows, step_start GROUP BY name) t USING (name)
WHERE name <> 'kmeans' GROUP BY name, n, whole, weighted ORDER BY name, n;

-- Gaussian mixtures of every structure take the steps that EM takes
SELECT c, difference(gmm_fit(x, s, '{"tol": 0, "max_iter": 5}'), step_loop(s, 5)) < 1e-9 AS same
FROM step_rows, (SELECT c, gmm_fit(x, 3, jsonb_build_object('covariance', c, 'max_iter', 1, 'tol', 0)) AS s
				 FROM step_rows, unnest('{full,diag,spherical,tied,fixed}'::text[]) c GROUP BY c) z GROUP BY c, s ORDER BY c;

-- whatever the start is like: bounds of variances and units are those of the rows, a constant column included
CREATE TABLE step_far AS SELECT ARRAY[i * 7919 % 13, i * 104729 % 11, 500]::float8[] AS x, i % 4 + 0.5::float8 AS w FROM generate_series(1, 120) i;
CREATE FUNCTION step_start_of(structure text, means float8[], v float8) RETURNS bytea LANGUAGE sql AS $$
	SELECT gmm_model(NULL, means, CASE structure WHEN 'tied' THEN matrix WHEN 'fixed' THEN format('{%s}', v)
		ELSE format('{%s}', array_to_string(array_fill(CASE structure WHEN 'full' THEN matrix WHEN 'diag' THEN diagonal ELSE v::text END,
													   ARRAY[array_length(means, 1)]), ',')) END::float8[], structure)
	FROM format('{{%1$s,0,0},{0,%1$s,0},{0,0,%1$s}}', v) matrix, format('{%1$s,%1$s,%1$s}', v) diagonal
$$;
SET client_min_messages = error; -- fits of one refit don't converge
SELECT start, structure, difference(gmm_fit(x, m, o), cluster_step(x, m)) < 1e-9 AS step,
	   difference(gmm_fit(x, m, o, w), cluster_step(x, m, w)) < 1e-9 AS weighted,
	   difference(gmm_fit(x, m, o), gmm_fit_query('SELECT x FROM step_far', m, o)) < 1e-9 AS query
FROM step_far, unnest('{full,diag,spherical,tied,fixed}'::text[]) structure, jsonb(gmm_options(max_iter => 1, tol => 0)) o,
	 (VALUES ('near', '{{1,2,500},{8,8,500}}', 9), ('wide', '{{1,2,500},{8,8,500}}', 1e10), ('narrow', '{{1,2,500},{8,8,500}}', 1e-4),
			 ('far out', '{{1e6,1,500},{1,2,500},{8,8,500}}', 4), ('beside', '{{1,2,490},{8,8,520}}', 1e3)) v(start, means, v),
	 LATERAL (SELECT step_start_of(structure, means::float8[], v) AS m) s
GROUP BY start, structure, m, o ORDER BY start, structure;
-- with a bound of the user's own, too
SELECT structure, difference(gmm_fit(x, m, o), gmm_fit_query('SELECT x FROM step_far', m, o)) < 1e-9 AS query
FROM step_far, unnest('{full,diag,spherical,tied,fixed}'::text[]) structure, jsonb(gmm_options(max_iter => 1, tol => 0, reg_covar => 0.25)) o,
	 LATERAL (SELECT step_start_of(structure, '{{1,2,500},{1e6,8,500},{8,8,520}}', 1e5) AS m) s
GROUP BY structure, m, o ORDER BY structure;
RESET client_min_messages;
-- one component far too wide, one far away
SELECT c.cluster, round(c.center[1]::numeric, 12) AS x, round(c.center[2]::numeric, 12) AS y, round(c.covariance[1]::numeric, 6) AS variance
FROM (SELECT cluster_step(x[1:2], gmm_model(NULL, '{{1,2},{8,8},{1e6,1}}', '{1,1e10,1}', 'spherical')) AS m FROM step_far) s, cluster_components(m) c;

-- Bernoulli mixtures too; bit strings are points like arrays
SELECT difference(bernoulli_fit(bits, s, '{"tol": 0, "max_iter": 1}'), cluster_step(bits, s)) < 1e-9 AS same,
	   cluster_step(bits, s) = cluster_step(replace(replace(translate(bits::text, '{,}', ''), 't', '1'), 'f', '0')::varbit, s) AS bits
FROM step_rows, (SELECT bernoulli_model(NULL, '{{0.2,0.3,0.2,0.3,0.2,0.3,0.2,0.3,0.2},{0.7,0.6,0.7,0.6,0.7,0.6,0.7,0.6,0.7}}') AS s) z GROUP BY s;
-- a row that every component calls impossible goes to the one that it contradicts least, as in a fit
WITH rows AS (SELECT ARRAY[i % 2 = 0, i % 6 = 0, i % 2 = 1, i IN (77, 78, 80)] AS x, bernoulli_model(NULL, '{{0,0,1,0},{1,0.3,0,0}}') AS s
	FROM generate_series(1, 1000) AS i),
	fits AS (SELECT bernoulli_fit(x, s, '{"tol": 0, "max_iter": 1}') AS a, cluster_step(x, s) AS b FROM rows GROUP BY s)
SELECT difference(a, b) < 1e-12 AS same, (i).objective, (i).converged, cluster_from_json(cluster_to_json(b)) = b AS json,
	abs((cluster_info(c)).objective / (cluster_info(a)).objective - 1) < 1e-12 AS next_objective, (cluster_info(c)).converged AS then
FROM fits, LATERAL (SELECT cluster_info(b) AS i, (SELECT cluster_step(x, b) FROM rows) AS c) AS next;
SELECT objective, iterations, converged
FROM cluster_info(bernoulli_fit_query('SELECT ARRAY[i IN (7, 8), true] FROM generate_series(1, 10) AS i', bernoulli_model(NULL, '{{0,1},{0,1}}'), '{"max_iter": 1}'));

-- the log-likelihood of a mixture's new parameters is not known, the objective is that of the given ones
SELECT (i).log_likelihood, (i).objective > 0, (i).iterations, (i).converged
FROM (SELECT cluster_info(cluster_step(x, m)) AS i FROM step_rows, step_start WHERE name = 'gmm' GROUP BY m) s;

-- models per group
SELECT w, cluster_step(x, m) = (SELECT cluster_step(x, m) FROM step_rows i WHERE i.w = o.w) AS same
FROM step_rows o, step_start WHERE name = 'kmeans' GROUP BY w, m ORDER BY w;

-- a window's frame may grow: the final function leaves the state as it is
WITH few AS (SELECT i, x, m FROM step_rows, step_start WHERE name = 'kmeans' AND i <= 70)
SELECT count(*), bool_and(s = (SELECT cluster_step(x, m) FROM few p WHERE p.i <= o.i)) AS same
FROM (SELECT i, cluster_step(x, m) OVER (ORDER BY i) AS s FROM few) o;

-- very large and very small values
SELECT centers(cluster_step(ARRAY[v * f], kmeans_model(ARRAY[[0], [10 * f]]))) = format('{%s};{%s}', 1.5 * f, 9 * f) AS scaled
FROM unnest('{1,2,9}'::float8[]) v, (VALUES (1e150::float8), (1e-200), (1)) t(f) GROUP BY f ORDER BY f;

-- a value out of proportion to the others takes nothing from their clusters' sums, in whatever order and division,
-- and the labels are those of cluster_predict; beyond some 1e270 their squares vanish
CREATE TEMP TABLE far_rows AS SELECT i, ARRAY[CASE WHEN i = 0 THEN 1 ELSE i % 2 * 100 + i / 1000.0 END]::float8[] AS x FROM generate_series(0, 100) i;
SELECT far, sizes, rounded, one = combined AS same, labels
FROM unnest('{1e20,1e38,1e100,1e130,1e165,1e200,-1e250,1e270}'::float8[]) far,
	LATERAL (SELECT kmeans_model(ARRAY[[0], [100], [far]])) s(start),
	LATERAL (SELECT cluster_step(ARRAY[CASE WHEN i = 0 THEN far ELSE x[1] END], start, 1 + i % 3) AS one FROM far_rows) a,
	LATERAL (SELECT cluster_step_final(cluster_step_combine(a, b)) AS combined
		FROM (SELECT cluster_step_partial(ARRAY[CASE WHEN i = 0 THEN far ELSE x[1] END], start, 1 + i % 3) FILTER (WHERE i % 7 > 0),
			cluster_step_partial(ARRAY[CASE WHEN i = 0 THEN far ELSE x[1] END], start, 1 + i % 3) FILTER (WHERE i % 7 = 0) FROM far_rows) AS p(a, b)) b,
	LATERAL (SELECT array_agg(size ORDER BY cluster) AS sizes, array_agg(round(center[1]::numeric, 12) ORDER BY cluster)
			FILTER (WHERE cluster < 3) AS rounded FROM cluster_components(one)) c,
	LATERAL (SELECT bool_and(cluster_predict(start, x) = 1 + i % 2) AS labels FROM far_rows WHERE i > 0) p;
SELECT round(sum((1 + i % 3) * x[1]::numeric) / sum(1 + i % 3), 12) AS mean FROM far_rows WHERE i > 0 GROUP BY i % 2 ORDER BY i % 2;
SELECT far, sizes, round(objective::numeric, 9) AS objective
FROM unnest('{1e38,1e130,1e200,1e270}'::float8[]) far,
	LATERAL (SELECT kmeans_fit_query(format('SELECT CASE WHEN i = 0 THEN ARRAY[%s::float8] ELSE x END FROM far_rows', far),
		kmeans_model(ARRAY[[0], [100], [far]])) AS m) f,
	LATERAL (SELECT array_agg(size ORDER BY size, center) AS sizes, sum(objective) AS objective FROM cluster_components(m)) c;
SELECT cluster_step(x, kmeans_model('{{0},{100},{1e300}}')) FROM far_rows;
SELECT cluster_step(ARRAY[v], kmeans_model('{{5},{1e300}}')) IS NOT NULL AS no_differences FROM unnest('{5,1e300}'::float8[]) v;
-- k-means|| over rows of which all but one are near one another
SELECT sizes, round((objective / plain)::numeric, 9) AS objective
FROM (SELECT kmeans_fit_query('SELECT ARRAY[CASE WHEN i = 0 THEN 1e200 ELSE i % 2 * 100 + i / 1e6 END]::float8[] FROM generate_series(0, 30000) i', 3) AS m) f,
	LATERAL (SELECT array_agg(size ORDER BY cluster) AS sizes, sum(objective) AS objective FROM cluster_components(m)) c,
	(SELECT sum(s) AS plain FROM (SELECT var_pop(i / 1e6::float8) * count(*) FROM generate_series(1, 30000) i GROUP BY i % 2) AS v(s)) p;

-- errors: another model, no model, wrong shape, wrong type, invalid elements and weights
SELECT cluster_step(x, CASE WHEN i = 5 THEN kmeans_model('{{0,0,1}}') ELSE kmeans_model('{{0,0,0}}') END) FROM step_rows;
SELECT cluster_step(x, NULL::bytea) FROM step_rows;
SELECT cluster_step(x, '\x00'::bytea) FROM step_rows;
SELECT cluster_step(x, kmeans_model('{{0,0}}')) FROM step_rows;
SELECT cluster_step(B'101'::varbit, kmeans_model('{{0,0,0}}'));
SELECT cluster_step(ARRAY[ARRAY[1]]::float8[], kmeans_model('{{0}}'));
SELECT cluster_step(ARRAY[1,NULL]::float8[], kmeans_model('{{0,0}}'));
SELECT cluster_step(ARRAY[1,'NaN']::float8[], kmeans_model('{{0,0}}'));
SELECT cluster_step(ARRAY[1.5]::float8[], bernoulli_model(NULL, '{{0.5}}'));
SELECT cluster_step('{1}'::float8[], kmeans_model('{{0}}'), -1);
SELECT cluster_step('{1}'::float8[], kmeans_model('{{0}}'), 'Infinity');
SELECT cluster_step('{1e200}'::float8[], kmeans_model('{{0}}'));
SELECT cluster_step_transition(NULL, '{1}'::float8[], kmeans_model('{{0}}'));

-- hostile states: each is refused, whatever is wrong with it
CREATE FUNCTION refused(state bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cluster_step_final(state);
	PERFORM cluster_step_combine(state, state);
	RETURN 'taken';
EXCEPTION WHEN data_corrupted OR feature_not_supported OR invalid_parameter_value OR numeric_value_out_of_range THEN
	RETURN 'refused';
END $$;
SELECT cluster_step_final('\x');
SELECT cluster_step_final('\x0000000063');
SELECT cluster_step_final(decode(repeat('00', 500), 'hex'));
SELECT cluster_step_final(m) FROM step_start WHERE name = 'kmeans';
-- every truncation, and something behind the end
SELECT name, count(*), bool_and(refused(substr(s, 1, l)) = 'refused'), refused(s || '\x00') FROM step_states, generate_series(0, length(s) - 1, 13) l
WHERE n = 1 GROUP BY name, s ORDER BY name;
-- whatever byte is changed: refused, or a sum that nobody can tell is wrong, but never a crash or an internal error
INSERT INTO step_states (name, n, s)
	SELECT 'bernoulli', 1, cluster_step_partial(bits, bernoulli_model(NULL, '{{0.2,0.3,0.2,0.3,0.2,0.3,0.2,0.3,0.2},{0.7,0.6,0.7,0.6,0.7,0.6,0.7,0.6,0.7}}'))
	FROM step_rows;
SELECT name, count(refused(set_byte(s, b, 255))) = count(*), count(refused(set_byte(s, b, get_byte(s, b) # 128))) = count(*)
FROM step_states, generate_series(0, length(s) - 1, 5) b WHERE n = 1 GROUP BY name ORDER BY name;
-- nor as the initial state of an aggregate, where the transition function meets it
DO $$
DECLARE
	s bytea := (SELECT s FROM step_states WHERE name = 'kmeans' AND n = 1);
BEGIN
	FOR i IN 0 .. 80 LOOP
		EXECUTE format('CREATE AGGREGATE hostile(float8[], bytea) (SFUNC = cluster_step_transition, STYPE = bytea, INITCOND = %L)',
			set_byte(s, length(s) - 1 - i * 37 % length(s), 127)::text);
		BEGIN
			PERFORM hostile(x, m) FROM step_rows, step_start WHERE name = 'kmeans';
		EXCEPTION WHEN data_corrupted OR invalid_parameter_value OR numeric_value_out_of_range THEN NULL;
		END;
		DROP AGGREGATE hostile(float8[], bytea);
	END LOOP;
END $$;
-- states of different models
SELECT cluster_step_combine(a.s, b.s) FROM step_states a, step_states b WHERE a.name = 'kmeans' AND b.name = 'gmm' AND a.n = 1 AND b.n = 1;
SELECT cluster_step_combine(cluster_step_partial(x, kmeans_model('{{0,0,0}}')), cluster_step_partial(x, kmeans_model('{{0,0,1}}'))) FROM step_rows;

DROP TABLE step_rows, step_start, step_states, step_far;
DROP FUNCTION step_loop, step_start_of, centers, difference, refused;

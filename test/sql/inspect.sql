-- What a model says of itself: cluster_info, cluster_components, cluster_trace.

CREATE TABLE point AS
SELECT i AS id, ARRAY[i * 7 % 23, i * 11 % 19]::double precision[] AS x, 1 + i % 3 AS w FROM generate_series(1, 300) AS i;
CREATE TABLE fit AS
SELECT kmeans_fit(x, 5) AS plain, kmeans_fit(x, 5, '{"seed": 8, "n_init": 3}', w) AS weighted,
	kmeans_fit(x, 3, kmeans_options(beta => 0.1, max_iter => 5000)) AS soft,
	kmeans_fit(x, kmeans_model('{{0,0},{20,0},{0,18},{20,18}}')) AS started, kmeans_model('{{1,2},{3,4}}') AS made
FROM point;

-- ---- cluster_info ----

-- The columns, in their order and with their types.
SELECT attribute, format_type(type, NULL) FROM pg_proc, unnest(proargnames, proallargtypes) WITH ORDINALITY AS a (attribute, type, n)
WHERE proname = 'cluster_info' ORDER BY n;

-- Of a fit; n rows have the weight n.
SELECT algorithm, k, dimensions, rows, skipped, total_weight, converged, parameters, seed, format FROM fit, cluster_info(plain);
SELECT rows, total_weight, seed, options FROM fit, cluster_info(weighted);

-- Whole weights are rows; with other weights the rows are those that came.
SELECT rows, total_weight FROM cluster_info((SELECT kmeans_fit(x, 2, '{}', 2) FROM point));
SELECT rows, total_weight FROM cluster_info((SELECT kmeans_fit(x, 2, '{}', 0.5) FROM point));
SELECT rows, skipped, total_weight FROM cluster_info((SELECT kmeans_fit(x, 2, '{}', id - 100) FROM point WHERE id >= 100));

-- The objective is the sum of weight times squared distance, of the centres as they are; no likelihood.
SELECT abs(p.objective - (SELECT sum(cluster_distance(plain, x) ^ 2) FROM point)) < 1e-9 AS plain,
	abs(w.objective - (SELECT sum(w * cluster_distance(weighted, x) ^ 2) FROM point)) < 1e-9 AS weighted,
	abs(s.objective - (SELECT sum(cluster_distance(started, x) ^ 2) FROM point)) < 1e-9 AS started,
	p.log_likelihood IS NULL AND p.aic IS NULL AND p.bic IS NULL AS no_likelihood
FROM fit, cluster_info(plain) AS p, cluster_info(weighted) AS w, cluster_info(started) AS s;

-- Soft K-means: the free energy -1/beta sum ln sum exp(-beta d^2).
SELECT abs(objective - (SELECT sum(-10 * ln(total)) FROM point, LATERAL (SELECT sum(exp(-0.1 * d ^ 2))
	FROM unnest(cluster_distances(soft, x)) AS d) AS t (total))) < 1e-9 * objective AS free_energy, options ->> 'beta' AS beta
FROM fit, cluster_info(soft);

-- A fit that was stopped has the figures of its last centres too, and says so.
SELECT iterations, converged, abs(objective - (SELECT sum(cluster_distance(m, x) ^ 2) FROM point)) < 1e-9 AS objective
FROM (SELECT kmeans_fit(x, kmeans_model('{{0,0},{1,1},{2,2}}'), '{"max_iter": 2}') AS m FROM point) AS f, cluster_info(m);

-- Of a model made by hand only what it is.
SELECT algorithm, k, dimensions, parameters, format,
	num_nulls(rows, skipped, total_weight, iterations, converged, objective, log_likelihood, aic, bic, seed) AS nulls
FROM fit, cluster_info(made);
SELECT (cluster_info(NULL)).k IS NULL AS null;

-- ---- cluster_components ----

SELECT attribute, format_type(type, NULL) FROM pg_proc, unnest(proargnames, proallargtypes) WITH ORDINALITY AS a (attribute, type, n)
WHERE proname = 'cluster_components' ORDER BY n;

-- Sizes, shares, centres and objectives are those of the labelled points.
SELECT c.cluster, size = total AS size, abs(weight - total / 300) < 1e-15 AS weight, covariance IS NULL AS covariance,
	abs(objective - squares) < 1e-9 AS objective, abs(center[1] - x1) < 1e-12 AND abs(center[2] - x2) < 1e-12 AS center
FROM fit, cluster_components(plain) AS c, LATERAL (SELECT count(*)::double precision, sum(cluster_distance(plain, x) ^ 2), avg(x[1]), avg(x[2])
	FROM point WHERE cluster_predict(plain, x) = c.cluster) AS p (total, squares, x1, x2)
ORDER BY cluster;
SELECT bool_and(size = total) AS size, bool_and(abs(weight - total / 600) < 1e-15) AS weight,
	bool_and(abs(objective - squares) < 1e-9) AS objective,
	bool_and(abs(center[1] - x1) < 1e-12 AND abs(center[2] - x2) < 1e-12) AS center
FROM fit, cluster_components(weighted) AS c,
	LATERAL (SELECT sum(w)::double precision, sum(w * cluster_distance(weighted, x) ^ 2), sum(w * x[1]) / sum(w), sum(w * x[2]) / sum(w)
		FROM point WHERE cluster_predict(weighted, x) = c.cluster) AS p (total, squares, x1, x2);

-- They add up to those of the model.
SELECT abs(sum(c.objective) - min(i.objective)) < 1e-9 AS objective, sum(size) = min(total_weight) AS size,
	abs(sum(weight) - 1) < 1e-14 AS weight, count(*) = min(k) AS k
FROM fit, cluster_components(weighted) AS c, cluster_info(weighted) AS i;

-- Clusters fitted from k come by descending size; equal ones by their centres.
SELECT cluster, size, center FROM cluster_components((SELECT kmeans_fit(ARRAY[v, -v], 4)
	FROM (VALUES (50), (10), (10), (10), (80), (80), (20), (20)) AS t (v)));

-- Of a soft fit sizes are sums of responsibilities.
SELECT bool_and(abs(size - (SELECT sum((cluster_probabilities(soft, x))[cluster]) FROM point)) < 1e-9) AS size,
	abs(sum(size) - 300) < 1e-9 AS total
FROM fit, cluster_components(soft);

-- Of a model made by hand: equal weights, centres, and nothing that only a fit knows.
SELECT cluster, weight, size, center, covariance, objective FROM fit, cluster_components(made);

-- ---- cluster_trace ----

SELECT attribute, format_type(type, NULL) FROM pg_proc, unnest(proargnames, proallargtypes) WITH ORDINALITY AS a (attribute, type, n)
WHERE proname = 'cluster_trace' ORDER BY n;

-- From a start there is one run: every refit is there, the objective never rises, and ends at the model's.
SELECT min(run) AS first_run, max(run) AS last_run, count(*) = min(iterations) AS refits, max(iteration) = min(iterations) AS numbered,
	bool_and(t.objective <= before) AS falls, abs(min(t.objective) - min(i.objective)) < 1e-9 AS ends
FROM fit, cluster_info(started) AS i,
	LATERAL (SELECT *, lag(objective, 1, 'Infinity') OVER (ORDER BY run, iteration) AS before FROM cluster_trace(started)) AS t;

-- In the first iteration all points get a cluster; once none changes it the fit has converged, and isn't refitted.
SELECT min(changed) FILTER (WHERE iteration = 1) = (SELECT count(DISTINCT x) FROM point) AS all_points, min(changed) > 0 AS others
FROM fit, cluster_trace(started);

-- From k the best run has the objective of the model; within each run it falls.
SELECT bool_and(t.objective <= before) AS falls, min(iteration) AS from_iteration, min(run) AS from_run,
	abs(min(t.objective) - min(i.objective)) < 1e-9 AS best
FROM fit, cluster_info(weighted) AS i,
	LATERAL (SELECT *, lag(objective, 1, 'Infinity') OVER (PARTITION BY run ORDER BY iteration) AS before
		FROM cluster_trace(weighted)) AS t;

-- One step by hand: {1}, {9} get 1, 2 and 8, 9, 10, and their means leave 0.5 + 2.
SELECT * FROM cluster_trace((SELECT kmeans_fit(ARRAY[v], kmeans_model('{{1},{9}}'))
	FROM (VALUES (1), (2), (8), (9), (10)) AS t (v)));

-- Three steps: 0 alone and {3,4,10,11}, their means 0 and 7; {0,3} and {4,10,11}; {0,3,4} and {10,11}.
SELECT run, iteration, round(objective::numeric, 6) AS objective, changed
FROM cluster_trace((SELECT kmeans_fit(ARRAY[v], kmeans_model('{{0},{3}}')) FROM (VALUES (0), (3), (4), (10), (11)) AS t (v)));

-- The trace of soft K-means ends at the free energy of the model, after one refit too.
SELECT count(*), abs(min(t.objective) - min(i.objective)) < 1e-9 AS same
FROM (SELECT kmeans_fit(x, kmeans_model('{{0,0},{9,9}}'), '{"beta": 0.01, "max_iter": 1}') AS m FROM point) AS f,
	cluster_info(m) AS i, cluster_trace(m) AS t;

-- A model made by hand has no history.
SELECT count(*) FROM fit, cluster_trace(made);

-- ---- errors ----

SELECT cluster_info('\x00');
SELECT cluster_components(substr(plain, 1, 100)) FROM fit;
SELECT cluster_trace(set_byte(plain, 200, 255 - get_byte(plain, 200))) FROM fit;

DROP TABLE point, fit;

-- Clusters of soft K-means share every point: none has an objective of its own.
SELECT bool_and(objective IS NULL)
FROM (SELECT kmeans_fit(ARRAY[g % 2, g], 2, '{"beta": 1}') AS m FROM generate_series(1, 9) g) f, cluster_components(m);

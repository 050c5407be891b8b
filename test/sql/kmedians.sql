--
-- K-medians: exact medians, weights, outliers, and all that works on any model.
--

-- 600 points around (0,0), (10,0) and (5,8), without ties, the same on every machine
CREATE TEMP TABLE points AS
SELECT id, ARRAY[cx + (id * 7919 % 1009) / 400.0, cy + (id * 104729 % 2003) / 800.0]::float8[] AS x
FROM (SELECT id, (ARRAY[0, 10, 5])[id % 3 + 1] AS cx, (ARRAY[0, 0, 8])[id % 3 + 1] AS cy
	FROM generate_series(1, 600) id) p;

-- ---- medians ----

-- of an odd number of values the middle one, of an even number the midpoint of the two middle ones
SELECT center FROM cluster_components((SELECT kmedians_fit(ARRAY[v], 1) FROM (VALUES (1), (2), (30)) t(v)));
SELECT center FROM cluster_components((SELECT kmedians_fit(ARRAY[v], 1) FROM (VALUES (1), (2), (4), (30)) t(v)));

-- each column has its own median, which need not be a point; a constant column has its constant
SELECT center, objective FROM cluster_components((SELECT kmedians_fit(ARRAY[a, b, 7], 1) FROM (VALUES (0, 5), (1, 9), (8, 0)) t(a, b)));

-- weights: 5 of 9 lie at 1; then the halves balance between 1 and 2, exactly
SELECT center FROM cluster_components((SELECT kmedians_fit(ARRAY[v], 1, '{}', w) FROM (VALUES (1, 5), (2, 1), (30, 3)) t(v, w)));
SELECT center FROM cluster_components((SELECT kmedians_fit(ARRAY[v], 1, '{}', w) FROM (VALUES (1, 0.5), (2, 0.25), (30, 0.25)) t(v, w)));

-- sums of weights are exact: as binary numbers 0.1 and 0.2 are together a little more than 0.3, so the halves don't balance between 2 and 30
SELECT center FROM cluster_components((SELECT kmedians_fit(ARRAY[v], 1, '{}', w) FROM (VALUES (1, 0.1), (2, 0.2), (30, 0.3)) t(v, w)));

-- the centre of every cluster is what percentile_cont finds among the points that are labelled with it
WITH m AS (SELECT kmedians_fit(x, 3) AS m FROM points),
	labelled AS (SELECT cluster_predict(m, x) AS cluster, x FROM points, m),
	medians AS (SELECT cluster, ARRAY[percentile_cont(0.5) WITHIN GROUP (ORDER BY x[1]),
		percentile_cont(0.5) WITHIN GROUP (ORDER BY x[2])] AS median FROM labelled GROUP BY cluster)
SELECT cluster, median = center AS same, size FROM m, cluster_components(m) JOIN medians USING (cluster) ORDER BY cluster;

-- bits: the majority in each column
SELECT center FROM cluster_components((SELECT kmedians_fit(x, 1) FROM (VALUES (ARRAY[true, false, true]), ('{t,f,f}'), ('{t,t,f}')) t(x)));

-- ---- the model ----

-- the objective is the sum of the L1 distances, and of the clusters' parts; sizes are counts
WITH m AS (SELECT kmedians_fit(x, 3) AS m FROM points)
SELECT algorithm, k, dimensions, rows, converged, iterations > 0 AS iterated,
	abs(objective / (SELECT sum(abs(x[1] - (cluster_center(m, x))[1]) + abs(x[2] - (cluster_center(m, x))[2])) FROM points) - 1) < 1e-12 AS objective,
	abs(objective / (SELECT sum(c.objective) FROM cluster_components(m) c) - 1) < 1e-12 AS parts,
	(SELECT sum(size) FROM cluster_components(m)) AS size, log_likelihood, aic, parameters
FROM m, cluster_info(m);

-- distances are L1; of equal distances the lower number wins; probabilities are one-hot
WITH m AS (SELECT kmedians_model('{{0,0},{4,2}}') AS m)
SELECT cluster_predict(m, ARRAY[1,1]) AS near, cluster_predict(m, ARRAY[2,1]) AS between,
	cluster_distance(m, ARRAY[1,1]) AS distance, cluster_distances(m, ARRAY[1,1]) AS distances,
	cluster_probabilities(m, ARRAY[4,1]) AS probabilities, cluster_center(m, ARRAY[4,1]) AS center
FROM m;

-- L1 and not Euclidean: from (0,0) it is 3 to (3,0) and 4 to (2,2), but 3 and 2.83 as the crow flies
SELECT cluster_predict(kmedians_model('{{2,2},{3,0}}'), ARRAY[0,0]) AS medians, cluster_predict(kmeans_model('{{2,2},{3,0}}'), ARRAY[0,0]) AS means;

-- the objective never rises within a run, and the best run's last step is the model's
WITH m AS (SELECT kmedians_fit(x, 7, '{"init": "random", "n_init": 5}') AS m FROM points),
	t AS (SELECT m, run, iteration, t.objective, lag(t.objective) OVER (PARTITION BY run ORDER BY iteration) AS before FROM m, cluster_trace(m) t)
SELECT count(*) > 5 AS steps, bool_and(before IS NULL OR t.objective <= before) AS falls, abs(min(t.objective) / max(i.objective) - 1) < 1e-12 AS best
FROM t, cluster_info(m) i;

-- JSON and back: the same bytes
SELECT cluster_from_json(cluster_to_json(m)) = m FROM (SELECT kmedians_fit(x, 3) AS m FROM points) t;

-- ---- what does not matter, and what does ----

-- the order of the rows, their type, and whether equal rows come as a weight
SELECT count(DISTINCT m) FROM (
	SELECT kmedians_fit(x, 5 ORDER BY id) FROM points
	UNION ALL SELECT kmedians_fit(x, 5 ORDER BY x[2] DESC) FROM points
	UNION ALL SELECT kmedians_fit(x, 5, kmedians_options(n_init => 1, seed => 0)) FROM points
	UNION ALL SELECT kmedians_fit(x::numeric[], 5) FROM points) t(m);
SELECT a.m = b.m FROM (SELECT kmedians_fit(x::integer[], 4, '{}', 2) AS m FROM points) a,
	(SELECT kmedians_fit(x::smallint[], 4) AS m FROM (TABLE points UNION ALL TABLE points) p) b;

-- from other seeds the same optimum, here
SELECT count(DISTINCT round(objective::numeric, 6)) FROM generate_series(1, 10) seed,
	LATERAL (SELECT kmedians_fit(x, 3, kmedians_options(seed => seed)) AS m FROM points) t, cluster_info(m);

-- ---- starts ----

-- the numbering of a start model is kept; from its own result a fit has nothing to do but one refit
WITH a AS (SELECT kmedians_fit(x, kmedians_model('{{11,1},{1,1},{6,9}}')) AS m FROM points),
	b AS (SELECT kmedians_fit(x, m) AS m FROM points, a GROUP BY m)
SELECT (SELECT array_agg(round(center[1]) ORDER BY cluster) FROM cluster_components(a.m)) AS centers, i.iterations, i.converged,
	(SELECT array_agg(center ORDER BY cluster) FROM cluster_components(a.m)) = (SELECT array_agg(center ORDER BY cluster) FROM cluster_components(b.m)) AS same
FROM a, b, cluster_info(b.m) i;

-- a start that nobody is near to takes the farthest point, so that no cluster is empty
SELECT array_agg(size > 0) FROM cluster_components((SELECT kmedians_fit(x, kmedians_model('{{0,0},{1e6,0},{0,1e6}}')) FROM points));

-- max_iter 1 is one refit
SELECT iterations, converged FROM cluster_info((SELECT kmedians_fit(x, kmedians_model('{{0,0},{1,0},{1,1}}'), '{"max_iter": 1}') FROM points));

-- a start must be a K-medians model of as many dimensions
SELECT kmedians_fit(x, kmeans_model('{{0,0}}')) FROM points;
SELECT kmedians_fit(x, kmedians_model('{{0}}')) FROM points;

-- ---- points between centres ----

-- numbers by size decide where such points belong: what has converged is at its end with these numbers, and another fit from there finds nothing better
CREATE TEMP TABLE lattice AS
SELECT ARRAY[('x' || substr(md5('130a' || i), 1, 4))::bit(16)::int % 4, ('x' || substr(md5('130b' || i), 1, 4))::bit(16)::int % 4]::float8[] AS x
FROM generate_series(1, 30) i;
WITH a AS (SELECT kmedians_fit(x, 6) AS m FROM lattice),
	b AS (SELECT kmedians_fit(x, m) AS m FROM lattice, a GROUP BY m)
SELECT i.objective, i.converged, j.objective AS again, j.iterations,
	(SELECT array_agg((cluster, size, center) ORDER BY cluster) FROM cluster_components(a.m))
	= (SELECT array_agg((cluster, size, center) ORDER BY cluster) FROM cluster_components(b.m)) AS same
FROM a, b, cluster_info(a.m) i, cluster_info(b.m) j;
WITH m AS (SELECT kmedians_fit(x, 6) AS m FROM lattice),
	labelled AS (SELECT cluster_predict(m, x) AS cluster, x FROM lattice, m),
	medians AS (SELECT cluster, count(*) AS rows, ARRAY[percentile_cont(0.5) WITHIN GROUP (ORDER BY x[1]),
		percentile_cont(0.5) WITHIN GROUP (ORDER BY x[2])] AS median FROM labelled GROUP BY cluster)
SELECT cluster, median = center AS same, rows, size FROM m, cluster_components(m) JOIN medians USING (cluster) ORDER BY cluster;
-- the refits after the numbering are the last run of the trace
SELECT t.* FROM (SELECT kmedians_fit(x, 6) AS m FROM lattice) f, cluster_trace(m) t ORDER BY run DESC, iteration LIMIT 2;

-- ---- rows and options ----

-- a NULL point, a NULL weight and a weight of 0 are skipped; no rows give NULL
SELECT rows, skipped, objective FROM cluster_info((SELECT kmedians_fit(x, 1, '{}', w)
	FROM (VALUES ('{1}'::int[], 1), ('{3}', 1), (NULL, 1), ('{9}', NULL), ('{9}', 0)) t(x, w)));
SELECT kmedians_fit(x, 2) IS NULL AS nothing FROM points WHERE false;

-- a group, a window and a filter: each has its own medians
SELECT g, m FROM (SELECT id % 2 AS g, (SELECT center FROM cluster_components(kmedians_fit(ARRAY[id], 1))) AS m FROM points GROUP BY 1) t ORDER BY 1;
SELECT id, cluster_predict(kmedians_fit(x, 2) OVER (), x) AS cluster FROM (VALUES (1, ARRAY[1.0]), (2, '{2}'), (3, '{1.5}'), (4, '{10}')) t(id, x) ORDER BY id;
SELECT center FROM cluster_components((SELECT kmedians_fit(ARRAY[id], 1) FILTER (WHERE id <= 100) FROM points));

-- fewer distinct points than clusters
SELECT kmedians_fit(ARRAY[v], 3) FROM (VALUES (1), (1), (2)) t(v);
SELECT center, size FROM cluster_components((SELECT kmedians_fit(ARRAY[v], 3, kmedians_options(allow_fewer => true)) FROM (VALUES (1), (1), (2)) t(v)));

-- values that are not numbers, and options that are not K-medians'
SELECT kmedians_fit(ARRAY[v], 1) FROM (VALUES (1.0::float8), ('NaN')) t(v);
SELECT rows, skipped FROM cluster_info((SELECT kmedians_fit(ARRAY[v], 1, '{"invalid": "skip"}') FROM (VALUES (1.0::float8), ('NaN'), ('Infinity')) t(v)));
SELECT kmedians_fit(x, 2, '{"beta": 1}') FROM points;
SELECT kmedians_fit(x, 0) FROM points;
SELECT kmedians_fit(x, 2, '{}', -1) FROM points;

-- the ends of the range: medians neither overflow nor vanish
SELECT center[1] = 1e300 AS huge, objective = 3e300 AS cost FROM cluster_components((SELECT kmedians_fit(ARRAY[v], 1) FROM (VALUES (-1e300), (1e300), (2e300)) t(v)));
SELECT abs(center[1] / 2e-300 - 1) < 1e-15 AS tiny FROM cluster_components((SELECT kmedians_fit(ARRAY[v], 1) FROM (VALUES (1e-300), (3e-300)) t(v)));

-- ---- outliers ----

-- 30 of the 600 points go far away, in all directions: no median moves by more than half a unit, and means by more than 50
CREATE TEMP TABLE damaged AS
SELECT id, CASE WHEN id % 20 = 0 THEN ARRAY[5 + 100 * cos(id), 3 + 100 * sin(id)] ELSE x END AS x FROM points;

WITH clean AS (SELECT kmedians_fit(x, 3) AS medians, kmeans_fit(x, 3) AS means FROM points),
	bad AS (SELECT kmedians_fit(x, 3) AS medians, kmeans_fit(x, 3) AS means FROM damaged)
SELECT (SELECT max(cluster_distance(clean.medians, center)) < 0.5 FROM cluster_components(bad.medians)) AS medians_stay,
	(SELECT max(cluster_distance(clean.means, center)) > 50 FROM cluster_components(bad.means)) AS means_go
FROM clean, bad;

-- however far they go: from the clean model as the start, the labels of the others stay as well
WITH clean AS (SELECT kmedians_fit(x, 3) AS m FROM points),
	bad AS (SELECT kmedians_fit(CASE WHEN id % 20 = 0 THEN ARRAY[1e9 * cos(id), 1e9 * sin(id)] ELSE x END, m) AS m FROM points, clean GROUP BY m)
SELECT max(cluster_distance(clean.m, center)) < 0.5 AS centers_stay,
	(SELECT count(*) FROM points WHERE id % 20 <> 0 AND cluster_predict(clean.m, x) <> cluster_predict(bad.m, x)) AS relabelled
FROM clean, bad, cluster_components(bad.m) GROUP BY clean.m, bad.m;

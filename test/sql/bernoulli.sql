-- Bernoulli mixtures: rows of yes and no.
\pset null '(null)'
\getenv source PG_ABS_SRCDIR
SET extra_float_digits = 0;

-- The zoo of test/data: 101 animals, 15 yes or no columns.
CREATE TABLE zoo (id integer GENERATED ALWAYS AS IDENTITY, x bit varying(15));
\set zoo 'gzip -dc ' :source '/data/zoo.csv.gz | tr -d ,'
\set load 'COPY zoo (x) FROM PROGRAM ' :'zoo'
:load;

-- Best known log-likelihoods for 1 to 4 components, of thousands of random starts.
SELECT k, round((cluster_info(bernoulli_fit(x, k, '{"tol": 1e-12}'))).log_likelihood::numeric, 6)
FROM zoo, generate_series(1, 4) AS k GROUP BY k ORDER BY k;

-- The same rows in all types are the same model.
CREATE VIEW arrays AS
SELECT id, x, string_to_array(regexp_replace(x::text, '(.)(?=.)', '\1,', 'g'), ',')::integer[] AS a
FROM zoo;
CREATE TABLE model AS SELECT bernoulli_fit(x, 3) AS m FROM zoo;
SELECT bernoulli_fit(a, 3) = m AS integer, bernoulli_fit(a::smallint[], 3) = m AS smallint,
	bernoulli_fit(a::bigint[], 3) = m AS bigint, bernoulli_fit(a::real[], 3) = m AS real,
	bernoulli_fit(a::double precision[], 3) = m AS double, bernoulli_fit(a::numeric[], 3) = m AS
	numeric, bernoulli_fit(a::boolean[], 3) = m AS boolean, bernoulli_fit(x::bit(15), 3) = m AS bit
FROM arrays, model GROUP BY m;

-- Neither the order of the rows nor their being collapsed into weights changes a bit of it.
SELECT bernoulli_fit(x, 3 ORDER BY x) = bernoulli_fit(x, 3 ORDER BY id DESC) AS ordered FROM zoo;
SELECT bernoulli_fit(x, 3, '{}', n ORDER BY n) = (SELECT m FROM model) AS weighted
FROM (SELECT x, count(*) AS n FROM zoo GROUP BY x) AS s;

-- What the model says of itself: 3 * 15 thetas and 2 free weights.
SELECT i.algorithm, i.k, i.dimensions, i.rows, i.skipped, i.total_weight, i.converged,
	i.objective = -i.log_likelihood AS objective, i.parameters,
	abs(i.aic - (2 * 47 + 2 * i.objective)) < 1e-9 AS aic,
	abs(i.bic - (47 * ln(101) + 2 * i.objective)) < 1e-9 AS bic
FROM model, cluster_info(m) AS i;

-- The weights sum to one, sizes are the weights of 101 animals, thetas are probabilities, and
-- the largest component is the first.
SELECT abs(sum(weight) - 1) < 1e-12 AS weights, bool_and(abs(size - 101 * weight) < 0.01) AS sizes,
	bool_and(least >= 0 AND greatest <= 1) AS thetas, array_agg(cluster ORDER BY size DESC) AS clusters
FROM model, cluster_components(m),
	LATERAL (SELECT min(t) AS least, max(t) AS greatest FROM unnest(center) AS t) AS theta;

-- The objective never rises in a run.
SELECT bool_and(objective <= before) AS falls
FROM (SELECT objective, lag(objective, 1, 'infinity') OVER (PARTITION BY run ORDER BY iteration) AS
	before FROM model, cluster_trace(m)) AS steps;

-- Log densities add up to the log-likelihood, responsibilities to one for each row and to the
-- size of each component, and the label is the component with the largest.
SELECT abs(sum(cluster_log_density(m, x)) - (cluster_info(m)).log_likelihood) < 1e-9 AS density
FROM zoo, model GROUP BY m;
SELECT abs(sum(r) - 101) < 1e-9 AS rows,
	abs(sum(r) FILTER (WHERE c = 2) - (SELECT size FROM model, cluster_components(m) WHERE cluster = 2)) < 1e-9 AS size
FROM zoo, model, unnest(cluster_probabilities(m, x)) WITH ORDINALITY AS u (r, c);
SELECT bool_and(p[cluster_predict(m, x)] >= ALL (p)) AS labels
FROM (SELECT m, x, cluster_probabilities(m, x) AS p FROM zoo, model) AS s;

-- The distance is the expected number of differing bits.
SELECT bool_and(abs((cluster_distances(m, a))[cluster] - expected) < 1e-12) AS distances,
	bool_and(cluster_distance(m, a) = (cluster_distances(m, a))[cluster_predict(m, a)]) AS own,
	bool_and(cluster_center(m, a) = center) FILTER (WHERE cluster = cluster_predict(m, a)) AS center
FROM arrays, model, cluster_components(m),
	LATERAL (SELECT sum(abs(b - t)) AS expected FROM unnest(a, center) AS u (b, t)) AS s;

-- Bits and arrays give the same answers.
SELECT bool_and(cluster_predict(m, x) = cluster_predict(m, a)
	AND cluster_probabilities(m, x) = cluster_probabilities(m, a::boolean[])
	AND cluster_distances(m, x) = cluster_distances(m, a::real[])
	AND cluster_distance(m, x) = cluster_distance(m, a::numeric[])
	AND cluster_center(m, x) = cluster_center(m, a)
	AND cluster_log_density(m, x) = cluster_log_density(m, a)) AS same
FROM arrays, model;

-- One column, one component: 3 heads of 4 tosses, 3 ln(3/4) + ln(1/4).
SELECT round(i.log_likelihood::numeric, 9) AS likelihood, round(3 * ln(0.75) + ln(0.25), 9) AS expected, c.center
FROM (SELECT bernoulli_fit(x, 1) AS m FROM (VALUES (B'1'), (B'1'), (B'0'), (B'1')) AS v (x)) AS f,
	cluster_info(m) AS i, cluster_components(m) AS c;

-- Two rows: each is a component, with thetas of exactly 0 and 1, and 2 ln(1/2).
CREATE TABLE pair AS
SELECT bernoulli_fit(x, 2, '{"tol": 0}') AS m FROM (VALUES (B'110'), (B'001')) AS v (x);
SELECT cluster, weight, size, center FROM pair, cluster_components(m);
SELECT round((cluster_info(m)).log_likelihood::numeric, 9) = round(2 * ln(0.5), 9) AS likelihood FROM pair;

-- What no component allows has probability 0, and belongs to the one that it contradicts least.
SELECT x, cluster_log_density(m, x), cluster_predict(m, x), cluster_probabilities(m, x),
	cluster_distances(m, x)
FROM pair, (VALUES (B'110'), (B'100'), (B'011')) AS v (x);

-- Columns that are all 0 or all 1, and 10,000 columns: nothing underflows.
SELECT c.cluster, c.size, c.center[1:3] AS center, round(i.log_likelihood::numeric, 6) AS likelihood
FROM (SELECT bernoulli_fit(B'01' || repeat(v::text, 9998)::bit varying, 2) AS m
	FROM (VALUES (0), (1), (0)) AS v (v)) AS f, cluster_info(m) AS i, cluster_components(m) AS c;

-- Smoothing s: (ones + s) / (rows + 2 s), here (3 + 0.5) / (4 + 1) and (0 + 0.5) / (4 + 1).
SELECT center
FROM (SELECT bernoulli_fit(x, 1, bernoulli_options(smoothing => 0.5)) AS m
	FROM (VALUES (B'10'), (B'10'), (B'00'), (B'10')) AS v (x)) AS f, cluster_components(m);

-- Uniform weights stay 1/k, and are not counted as parameters.
SELECT array_agg(c.weight) AS weights, i.parameters
FROM (SELECT bernoulli_fit(x, 4, '{"weights": "uniform"}') AS m FROM zoo) AS f, cluster_info(m) AS i,
	cluster_components(m) AS c
GROUP BY i.parameters;

-- From an explicit start one iteration is: 4 rows, theta (3/4, 1/4) and (1/4, 3/4), weights 1/2:
-- by symmetry half of the weight each, and r = 9/10 and 1/2 of the rows.
SELECT cluster, round(weight::numeric, 12) AS weight,
	round(center[1]::numeric, 12) AS first, round(center[2]::numeric, 12) AS second
FROM (SELECT bernoulli_fit(x, bernoulli_model(NULL, '{{0.75, 0.25}, {0.25, 0.75}}'),
		'{"max_iter": 1, "tol": 0}') AS m
	FROM (VALUES (B'10'), (B'01'), (B'11'), (B'00')) AS v (x)) AS f, cluster_components(m);

-- A fit from its own result has nothing left to do.
SELECT (cluster_info(bernoulli_fit(x, m))).iterations, (cluster_info(bernoulli_fit(x, m))).converged
FROM zoo, model GROUP BY m;

-- Groups, filters and windows.
SELECT id % 2 AS g, length(bernoulli_fit(x, 2)) > 0 AS fitted FROM zoo GROUP BY 1 ORDER BY 1;
SELECT bernoulli_fit(x, 3) FILTER (WHERE id < 0) IS NULL AS empty,
	bernoulli_fit(x, 3) FILTER (WHERE id > 0) = m AS filtered
FROM zoo, model GROUP BY m;
SELECT count(DISTINCT cluster_predict(m, x)) AS clusters, count(DISTINCT m) AS models
FROM (SELECT x, bernoulli_fit(x, 3) OVER () AS m FROM zoo) AS s;
SELECT count(*) AS frames, count(DISTINCT m) AS models
FROM (SELECT bernoulli_fit(x, 1) OVER (ORDER BY id) AS m FROM zoo WHERE id <= 20) AS s;

-- NULL rows and rows without weight are skipped and counted.
SELECT i.rows, i.skipped, i.total_weight
FROM (SELECT bernoulli_fit(x, 1, '{}', w) AS m
	FROM (VALUES (B'10', 2.5::float8), (NULL, 1), (B'01', 0), (B'11', NULL), (B'00', 1)) AS v (x, w)) AS f,
	cluster_info(m) AS i;

-- A model may stand in an index.
CREATE FUNCTION kind(bit varying) RETURNS integer IMMUTABLE LANGUAGE sql
	RETURN cluster_predict(bernoulli_model('{0.5, 0.5}', '{{0.9, 0.1}, {0.1, 0.9}}'), $1);
CREATE TABLE indexed AS SELECT substring(x FROM 1 FOR 2) AS x FROM zoo;
CREATE INDEX ON indexed (kind(x));
SELECT kind(B'10'), kind(B'01');

-- Refusals.
SELECT bernoulli_fit(ARRAY[0, 1, i], 1) FROM generate_series(0, 2) AS i;
SELECT bernoulli_fit(ARRAY[0.5], 1);
SELECT bernoulli_fit(ARRAY[0, NULL], 1);
SELECT bernoulli_fit(ARRAY[0, 'NaN']::real[], 1);
SELECT bernoulli_fit(ARRAY['yes'], 1);
SELECT bernoulli_fit(B'', 1);
SELECT bernoulli_fit(x, 1) FROM (VALUES (B'01'::bit varying), (B'011')) AS v (x);
SELECT bernoulli_fit(x, 3) FROM (VALUES (B'01'), (B'01'), (B'11')) AS v (x);
SELECT bernoulli_fit(B'01', 1, '{"covariance": "full"}');
SELECT bernoulli_fit(B'01', 1, '{"smoothing": -1}');
SELECT bernoulli_fit(B'01', kmeans_model('{{0, 1}}'));
SELECT bernoulli_model(NULL, '{{0.5, 1.5}}');
SELECT cluster_predict(m, ARRAY[1, 0, 2]) FROM pair;
SELECT cluster_predict(m, B'10') FROM pair;
SELECT cluster_predict(kmeans_model('{{0, 1}}'), B'01');

-- What may be skipped is: NULL and NaN, but not a 2.
SELECT (cluster_info(bernoulli_fit(x, 1, '{"invalid": "skip"}'))).skipped
FROM (VALUES (ARRAY[0, 1]), (ARRAY[1, NULL])) AS v (x);

-- The digits of test/data: 3,000 images of 28 x 28 pixels.  The default fit is at least as good as
-- the best of 10 random starts, and its clusters agree with the digits about as they do in the
-- literature.
CREATE TABLE digit (id integer GENERATED ALWAYS AS IDENTITY, x bit varying);
CREATE TABLE label (id integer GENERATED ALWAYS AS IDENTITY, digit integer);
\set digits 'gzip -dc ' :source '/data/digits.csv.gz'
\set load 'COPY digit (x) FROM PROGRAM ' :'digits'
:load;
\set labels 'gzip -dc ' :source '/data/digits_labels.csv.gz'
\set load 'COPY label (digit) FROM PROGRAM ' :'labels'
:load;
CREATE TABLE digits_model AS SELECT bernoulli_fit(x, 10) AS m FROM digit;
SELECT (cluster_info(m)).log_likelihood >= (cluster_info(bernoulli_fit(x, 10,
	'{"init": "random", "n_init": 10}'))).log_likelihood AS better
FROM digit, digits_model GROUP BY m;
SELECT adjusted_rand_index(cluster_predict(m, x), digit) > 0.3 AS agrees
FROM digit JOIN label USING (id), digits_model;

DROP VIEW arrays;
DROP TABLE zoo, model, pair, indexed, digit, label, digits_model;
DROP FUNCTION kind;

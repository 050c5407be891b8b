-- Applying a K-means model: labels, distances, probabilities, centres, in every way of supplying the model.

CREATE TABLE model (id integer PRIMARY KEY, m bytea);
INSERT INTO model VALUES (1, kmeans_model('{{0,0},{10,0},{0,10}}')), (2, kmeans_model('{{1,1},{5,5}}')),
	(3, kmeans_model('{{-3,4}}'));
CREATE TABLE point AS
SELECT i AS id, ARRAY[i * 7 % 23 - 6, i * 11 % 19 - 5]::double precision[] AS x FROM generate_series(1, 200) AS i;

-- ---- against plain arithmetic ----

-- The distances of (3, 4) are 5 from the origin, sqrt(7^2 + 4^2) and sqrt(3^2 + 6^2) from the others.
SELECT cluster_predict(m, ARRAY[3, 4]), cluster_distance(m, ARRAY[3, 4]), cluster_center(m, ARRAY[3, 4]),
	cluster_distances(m, ARRAY[3, 4]) = ARRAY[5, sqrt(65), sqrt(45)] AS distances, cluster_probabilities(m, ARRAY[3, 4])
FROM model WHERE id = 1;

-- The same for many points and models in plain SQL, with the lowest number where distances are equal.
CREATE VIEW plain AS
SELECT model.id AS model, point.id AS point, m, x, cluster, center, sqrt(square) AS distance,
	row_number() OVER (PARTITION BY model.id, point.id ORDER BY square, cluster) AS rank
FROM model, point, LATERAL cluster_components(m) AS c,
	LATERAL (SELECT sum((x[j] - center[j]) ^ 2) FROM generate_series(1, array_length(x, 1)) AS j) AS s (square);
SELECT model, count(*) AS points, bool_and(cluster_predict(m, x) = cluster) AS label,
	bool_and(cluster_distance(m, x) = distance) AS distance, bool_and(cluster_center(m, x) = center) AS center,
	bool_and((cluster_probabilities(m, x))[cluster] = 1) AS probability
FROM plain WHERE rank = 1 GROUP BY model ORDER BY model;
SELECT model, bool_and((cluster_distances(m, x))[cluster] = distance) AS distances,
	bool_and(rank = 1 OR (cluster_probabilities(m, x))[cluster] = 0) AS probabilities,
	bool_and(array_length(cluster_distances(m, x), 1) = (cluster_info(m)).k) AS length
FROM plain GROUP BY model ORDER BY model;

-- Halfway between two centres the lower number wins, also where all centres are the same.
SELECT cluster_predict(m, ARRAY[5, 0]), cluster_predict(m, ARRAY[0, 5]), cluster_predict(m, ARRAY[5, 5]),
	cluster_predict(m, ARRAY[6, 5]), cluster_predict(m, ARRAY[5, 6])
FROM model WHERE id = 1;
SELECT cluster_predict(kmeans_model('{{1},{1},{1}}'), ARRAY[7]), cluster_predict(kmeans_model('{{1},{1},{1}}'), ARRAY[1]),
	cluster_predict(kmeans_model('{{2},{1},{1}}'), ARRAY[1]);

-- Soft K-means: exp(-beta * d^2) over their sum; the nearest centre has the largest share.
CREATE TABLE soft AS SELECT kmeans_fit(x, kmeans_model('{{0,0},{5,5},{9,1}}'), '{"beta": 0.05, "max_iter": 10000}') AS m FROM point;
SELECT bool_and(abs(p[c] - exp(-0.05 * d[c] ^ 2) / total) < 1e-14) AS share, bool_and(abs(sum - 1) < 1e-15) AS sum,
	bool_and(p[cluster_predict(m, x)] = largest) AS label
FROM soft, point, LATERAL (SELECT cluster_probabilities(m, x), cluster_distances(m, x)) AS a (p, d),
	LATERAL (SELECT sum(v), max(v) FROM unnest(p) AS v) AS b (sum, largest),
	LATERAL (SELECT sum(exp(-0.05 * v ^ 2)) FROM unnest(d) AS v) AS t (total), generate_series(1, 3) AS c;

-- Far away, where every exp(-beta * d^2) is 0, the shares are still those of the differences.
SELECT round(p[1]::numeric, 12) = 1 AS one, round((p[1] + p[2] + p[3])::numeric, 12) = 1 AS sum
FROM soft, LATERAL (SELECT cluster_probabilities(m, ARRAY[-1e6, -1e6])) AS a (p);

-- A fit labels its own points as it counted them.
SELECT bool_and(size = count) AS sizes, bool_and(abs(objective - squares) <= 1e-9 * objective) AS objectives
FROM (SELECT kmeans_fit(x, 7) AS fitted FROM point) AS f, cluster_components(fitted) AS c,
	LATERAL (SELECT count(*), sum(cluster_distance(fitted, x) ^ 2) FROM point
		WHERE cluster_predict(fitted, x) = c.cluster) AS p (count, squares);

-- ---- types of points ----

-- Every type of element gives what its cast to double precision gives.
SELECT bool_and(cluster_predict(m, x::smallint[]) = cluster_predict(m, x)
		AND cluster_distances(m, x::smallint[]) = cluster_distances(m, x)) AS smallint,
	bool_and(cluster_distances(m, x::integer[]) = cluster_distances(m, x)) AS integer,
	bool_and(cluster_distances(m, x::bigint[]) = cluster_distances(m, x)) AS bigint,
	bool_and(cluster_distances(m, x::real[]) = cluster_distances(m, x)) AS real,
	bool_and(cluster_distances(m, x::numeric[]) = cluster_distances(m, x)) AS "numeric"
FROM model, point;
SELECT cluster_distances(m, ARRAY[0.1, 0.2]::real[]) = cluster_distances(m, ARRAY[0.1, 0.2]::real[]::double precision[]) AS real,
	cluster_distances(m, ARRAY[0.1, 0.2]) = cluster_distances(m, ARRAY[0.1, 0.2]::double precision[]) AS "numeric",
	cluster_distances(m, ARRAY[true, false]) = cluster_distances(m, ARRAY[1, 0]) AS "boolean"
FROM model WHERE id = 1;

-- ---- NULL, and numbers at the ends of their range ----

-- STRICT: without a model or a point there is no answer.
SELECT cluster_predict(NULL, ARRAY[1]) IS NULL AND cluster_predict(m, NULL::integer[]) IS NULL
	AND cluster_probabilities(m, NULL::real[]) IS NULL AND cluster_distances(NULL, ARRAY[1]) IS NULL AS null
FROM model WHERE id = 1;

-- Squares that overflow or vanish don't hide which centre is nearest, nor how far it is.
SELECT cluster_predict(m, ARRAY[7e200]), round((cluster_distance(m, ARRAY[7e200]) / 1e200)::numeric, 12) AS distance,
	cluster_predict(m, ARRAY[1e308]) AS far
FROM (SELECT kmeans_model('{{1e200},{6e200}}')) AS t (m);
SELECT cluster_predict(m, ARRAY[7e-200::double precision]), round((cluster_distance(m, ARRAY[7e-200]) / 1e-200)::numeric, 12) AS distance
FROM (SELECT kmeans_model('{{1e-200},{6e-200}}')) AS t (m);
SELECT cluster_predict(kmeans_model('{{-1.7e308},{1.7e308}}'), ARRAY[1e308]);

-- Denormal numbers too: from 3 units the nearer of 5 and 4 units is 4, one unit away.
SELECT cluster_predict(m, x) AS cluster, cluster_distance(m, x) = 4.94065645841247e-324 AS one_unit
FROM (SELECT kmeans_model('{{2.5e-323},{2e-323}}'), '{1.5e-323}'::double precision[]) AS t (m, x);

-- ---- ways of supplying the model ----

CREATE TABLE expected AS SELECT model, point, cluster FROM plain WHERE rank = 1;

-- A scalar subquery.
SELECT bool_and(cluster = cluster_predict((SELECT m FROM model WHERE id = 1), x)) AS same
FROM point JOIN expected ON model = 1 AND point = id;

-- A constant, and a parameter, with a custom and a generic plan.
DO $$
DECLARE
	same boolean;
BEGIN
	EXECUTE format('SELECT bool_and(cluster = cluster_predict(%L::bytea, x)) FROM point JOIN expected ON model = 2 AND point = id',
		(SELECT m FROM model WHERE id = 2)) INTO same;
	RAISE NOTICE 'constant: %', same;
END $$;
PREPARE label(bytea, integer) AS
	SELECT bool_and(cluster = cluster_predict($1, x)) AS same FROM point JOIN expected ON model = $2 AND point = id;
SET plan_cache_mode = force_custom_plan;
SELECT m FROM model WHERE id = 1 \gset
EXECUTE label(:'m', 1);
SET plan_cache_mode = force_generic_plan;
EXECUTE label(:'m', 1);
SELECT m FROM model WHERE id = 2 \gset
EXECUTE label(:'m', 2);
RESET plan_cache_mode;
DEALLOCATE label;

-- A join with a table of models: one model after the other, and all of them interleaved.
SELECT bool_and(cluster = cluster_predict(m, x)) AS ordered
FROM (SELECT e.cluster, m, x FROM expected AS e JOIN model ON model.id = e.model JOIN point ON point.id = e.point
	ORDER BY e.model, e.point) AS t;
SELECT bool_and(cluster = cluster_predict(m, x)) AS interleaved
FROM (SELECT e.cluster, m, x FROM expected AS e JOIN model ON model.id = e.model JOIN point ON point.id = e.point
	ORDER BY e.point, e.model) AS t;

-- More models than any cache would keep, of the same size, each row with another one.
SELECT bool_and(cluster_predict(m, ARRAY[i]) = 1 + (i > 2 * g)::integer
	AND cluster_center(m, ARRAY[i]) = ARRAY[CASE WHEN i > 2 * g THEN 3 * g ELSE g END]::double precision[]) AS same
FROM (SELECT g, i, kmeans_model(ARRAY[ARRAY[g], ARRAY[3 * g]]) AS m
	FROM generate_series(1, 150) AS i, generate_series(1, 40) AS g ORDER BY i, g) AS t;

-- Models of different k and d, from row to row, and the point with them.
SELECT bool_and(cluster_predict(m, x) = k) AS same
FROM (SELECT k, kmeans_model(ARRAY(SELECT ARRAY(SELECT c FROM generate_series(1, d)) FROM generate_series(1, k) AS c)) AS m,
		array_fill(100, ARRAY[d]) AS x
	FROM generate_series(1, 30) AS k, generate_series(1, 5) AS d ORDER BY d, k) AS t;

-- A window function, lateral subqueries, CASE, an aggregate's argument, and an ORDER BY.
SELECT bool_and(cluster_predict(fitted, x) = cluster_predict(w, x)) AS "window"
FROM (SELECT x, kmeans_fit(x, 3) OVER () AS w, kmeans_fit(x, 3) OVER () AS fitted FROM point) AS t;
SELECT bool_and(cluster = predicted) AS lateral
FROM expected AS e, LATERAL (SELECT x FROM point WHERE id = e.point) AS p,
	LATERAL (SELECT cluster_predict(m, x) FROM model WHERE id = e.model) AS l (predicted);
SELECT bool_and(cluster = cluster_predict(CASE e.model WHEN 1 THEN a.m WHEN 2 THEN b.m ELSE c.m END, x)) AS "case"
FROM expected AS e JOIN point ON id = point, model AS a, model AS b, model AS c WHERE a.id = 1 AND b.id = 2 AND c.id = 3;
SELECT array_agg(id ORDER BY cluster_distance(m, x) DESC, id)
	= (SELECT array_agg(point ORDER BY distance DESC, point) FROM plain WHERE model = 1 AND rank = 1) AS ordered
FROM point, (SELECT m FROM model WHERE id = 1) AS t;

-- Recursion: from the nearest centre to the nearest centre of the next model.
WITH RECURSIVE step (i, x) AS (
	SELECT 0, ARRAY[9, 1]::double precision[]
	UNION ALL
	SELECT i + 1, cluster_center(m, x) FROM step JOIN model ON id = i + 1)
SELECT i, x FROM step ORDER BY i;

-- ---- large models, stored out of line, compressed or not ----

CREATE TABLE large (id integer, m bytea, copy bytea);
ALTER TABLE large ALTER copy SET STORAGE EXTERNAL;
INSERT INTO large
SELECT i, m, m FROM generate_series(1, 3) AS i,
	LATERAL (SELECT kmeans_model(ARRAY(SELECT ARRAY[c * i, c % 7] FROM generate_series(1, 500) AS c))) AS t (m);
SELECT bool_and(pg_column_size(m) < length(m)) AS compressed, bool_and(pg_column_size(copy) = length(copy)) AS plain,
	bool_and(length(m) > 8000) AS large FROM large;
SELECT bool_and(cluster_center(m, x) = cluster_center(copy, x)
	AND cluster_predict(m, x) = cluster_predict(copy || ''::bytea, x)
	AND cluster_distance(m, x) = (SELECT min(sqrt((x[1] - c * id) ^ 2 + (x[2] - c % 7) ^ 2))
		FROM generate_series(1, 500) AS c)) AS same
FROM (SELECT large.id, m, copy, x FROM point, large WHERE point.id <= 40 ORDER BY point.id, large.id) AS t;

-- Another model under the same toast pointer's nose: an update is seen by the next statement, in one function too.
CREATE FUNCTION label_twice() RETURNS TABLE (before integer, after integer) LANGUAGE plpgsql AS $$
BEGIN
	before := cluster_predict((SELECT copy FROM large WHERE id = 1), ARRAY[250, 0]);
	UPDATE large SET copy = (SELECT copy FROM large WHERE id = 2) WHERE id = 1;
	after := cluster_predict((SELECT copy FROM large WHERE id = 1), ARRAY[250, 0]);
	RETURN NEXT;
END $$;
SELECT before = cluster_predict(a.m, ARRAY[250, 0]) AS before, after = cluster_predict(b.m, ARRAY[250, 0]) AS after,
	before <> after AS differ
FROM label_twice(), large AS a, large AS b WHERE a.id = 1 AND b.id = 2;

-- A plpgsql loop over models and points, with variables.
DO $$
DECLARE
	model_row record;
	point_row record;
	wrong integer := 0;
	label integer;
BEGIN
	FOR point_row IN SELECT * FROM point ORDER BY id LIMIT 50 LOOP
		FOR model_row IN SELECT * FROM model ORDER BY id LOOP
			SELECT cluster INTO label FROM expected WHERE model = model_row.id AND point = point_row.id;
			wrong := wrong + (label <> cluster_predict(model_row.m, point_row.x))::integer;
		END LOOP;
	END LOOP;
	RAISE NOTICE '% wrong', wrong;
END $$;

-- Damaged models in between don't disturb the others.
DO $$
DECLARE
	good bytea := kmeans_model('{{1},{9}}');
	damaged bytea;
	caught integer := 0;
	wrong integer := 0;
BEGIN
	FOR i IN 1..200 LOOP
		BEGIN
			damaged := CASE WHEN i % 3 = 0 THEN set_byte(good, i, get_byte(good, i) # 85) ELSE good END;
			wrong := wrong + (cluster_predict(damaged, ARRAY[i]) <> 1 + (i > 5)::integer)::integer;
		EXCEPTION WHEN data_corrupted OR feature_not_supported THEN
			caught := caught + 1;
		END;
	END LOOP;
	RAISE NOTICE '% wrong, % caught', wrong, caught;
END $$;

-- ---- in a schema ----

-- An index on the label, a generated column and a check.
DO $$
DECLARE
	m bytea := (SELECT m FROM model WHERE id = 1);
BEGIN
	EXECUTE format('CREATE INDEX by_label ON point (cluster_predict(%L::bytea, x))', m);
	EXECUTE format('ALTER TABLE point ADD label integer GENERATED ALWAYS AS (cluster_predict(%L::bytea, x)) STORED', m);
	EXECUTE format('ALTER TABLE point ADD CHECK (cluster_distance(%L::bytea, x) < 30)', m);
	EXECUTE format('CREATE FUNCTION labelled(integer) RETURNS bigint LANGUAGE sql AS %L',
		format('SELECT count(*) FROM point WHERE cluster_predict(%L::bytea, x) = $1', m));
END $$;
ANALYZE point;
SET enable_seqscan = off;
SELECT c AS cluster, labelled(c) = (SELECT count(*) FROM expected WHERE model = 1 AND cluster = c) AS by_index,
	(SELECT count(*) FROM point WHERE label = c) = (SELECT count(*) FROM expected WHERE model = 1 AND cluster = c) AS generated
FROM generate_series(1, 3) AS c;
RESET enable_seqscan;
INSERT INTO point VALUES (201, '{9,2}') RETURNING label;
UPDATE point SET x = '{2,9}' WHERE id = 201 RETURNING label;
INSERT INTO point VALUES (202, '{99,99}');

-- A fit into a table and its labels, in one statement.
WITH fitted AS (SELECT kmeans_fit(x, 4) AS m FROM point)
SELECT count(*) = (SELECT count(*) FROM point) AS all_rows, min(label), max(label)
FROM (SELECT cluster_predict(m, x) AS label FROM point, fitted) AS t;

-- The functions are immutable, strict and safe for parallel queries.
SELECT proname, provolatile, proisstrict, proparallel FROM pg_proc
WHERE proname IN ('cluster_predict', 'cluster_probabilities', 'cluster_distance', 'cluster_distances', 'cluster_center',
	'cluster_log_density') AND pg_get_function_arguments(oid) LIKE '%anyarray' ORDER BY 1;

-- ---- errors ----

SELECT cluster_predict(m, ARRAY[1, 2, 3]) FROM model WHERE id = 1;
SELECT cluster_distance(m, ARRAY[[1, 2], [3, 4]]) FROM model WHERE id = 1;
SELECT cluster_distances(m, '{}'::integer[]) FROM model WHERE id = 1;
SELECT cluster_center(m, ARRAY[1, NULL]) FROM model WHERE id = 1;
SELECT cluster_probabilities(m, ARRAY['NaN', 0]::real[]) FROM model WHERE id = 1;
SELECT cluster_predict(m, ARRAY['0', 'infinity']::double precision[]) FROM model WHERE id = 1;
SELECT cluster_predict(m, ARRAY['a', 'b']) FROM model WHERE id = 1;
SELECT cluster_predict(m, ARRAY[now(), now()]) FROM model WHERE id = 1;
SELECT cluster_log_density(m, ARRAY[1, 2]) FROM model WHERE id = 1;
SELECT cluster_distance(kmeans_model('{{-1.7e308}}'), ARRAY[1.7e308]);
SELECT cluster_distances(kmedians_model('{{0,0},{1e308,0}}'), ARRAY[-1e308, 0]::float8[]);
SELECT cluster_log_density(gmm_model(NULL, '{{1e108,0}}', '{1e-100}', 'spherical'), ARRAY[-1e108, 0]::float8[]);
SELECT cluster_predict('\x00', ARRAY[1, 2]);
SELECT cluster_predict('', ARRAY[1, 2]);
SELECT cluster_predict(substr(m, 1, length(m) - 1), ARRAY[1, 2]) FROM model WHERE id = 1;
SELECT cluster_predict(m || '\x00', ARRAY[1, 2]) FROM model WHERE id = 1;

DROP FUNCTION label_twice, labelled;
DROP VIEW plain;
DROP TABLE model, point, soft, expected, large;

-- K-means fits: forms, options, and the ways that PostgreSQL calls an aggregate.
-- Anderson's iris data (UCI Machine Learning Repository, CC BY 4.0): sepal length and width, petal
-- length and width of 150 flowers, two digits each, in millimetres; 50 flowers of each species.
CREATE TABLE iris AS
SELECT i AS id, (i - 1) / 50 AS species,
	ARRAY(SELECT substr(d, 8 * i + 2 * j - 9, 2)::double precision / 10 FROM generate_series(1, 4) AS j) AS x
FROM (SELECT replace('
513514024930140247321302463115025036140254391704463414035034150244291402493115015437150248341602
483014014330110158401202574415045439130451351403573817035138150354341702513715044636100251331705
483419025030160250341604523515025234140247321602483116025434150452411501554214024931150250321202
553513024936140144301302513415025035130345231303443213025035160651381904483014035138160246321402
533715025033140270324714643245156931491555234013652846155728451363334716492433106629461352273914
502035105930421560224010612947145629361367314414563045155827411062224515562539115932481861284013
632549156128471264294313663044146828481467305017602945155726351055243811552437105827391260275116
543045156034451667314715632344135630411355254013552644126130461458264012502333105627421357304212
572942136229431351253011572841136333602558275119713059216329561865305822763066214925451773296318
672558187236612565325120642753196830552157255020582851246432532365305518773867227726692360225015
693257235628492077286720632749186733572172326018622848186130491864285621723058167428611979386420
642856226328511561265614773061236334562464315518603048186931542167315624693151235827511968325923
673357256730522363255019653052206234542359305118
', E'\n', '')) AS t (d), generate_series(1, 150) AS i;

-- ---- forms ----

-- Two pairs: the centres are their means, the objective 4 * 0.5^2; of clusters of equal size the
-- one with the smaller centre is number 1.
SELECT cluster, weight, size, center, covariance, objective
FROM cluster_components((SELECT kmeans_fit(ARRAY[v], 2) FROM (VALUES (11), (2), (10), (1)) AS t (v)));

-- Iris with three clusters: known sizes and the best known sum of squares, 78.85144.
CREATE TABLE fit AS SELECT kmeans_fit(x, 3) AS model FROM iris;
SELECT k, dimensions, rows, converged, round(objective::numeric, 5) AS objective
FROM fit, cluster_info(model);
SELECT cluster, size, round(objective::numeric, 3) AS objective,
	ARRAY(SELECT round(v::numeric, 3) FROM unnest(center) AS v) AS center
FROM fit, cluster_components(model) ORDER BY cluster;

-- Options that say what holds anyway make no difference, nor does a weight of 1.
SELECT kmeans_fit(x, 3, '{}') = model AS empty, kmeans_fit(x, 3, NULL) = model AS nothing,
	kmeans_fit(x, 3, kmeans_options()) = model AS defaults,
	kmeans_fit(x, 3, '{"seed": 0, "tol": 0.0, "max_iter": 3e2, "beta": null}') = model AS written_out,
	kmeans_fit(x, 3, '{}', 1) = model AS weighted, kmeans_fit(x, 3, NULL, 1) = model AS both
FROM iris, fit GROUP BY model;

-- A fit from a start keeps the start's numbering: these three are the fitted clusters, back to front.
SELECT cluster, size FROM cluster_components((
	SELECT kmeans_fit(x, kmeans_model(ARRAY(
		SELECT center FROM fit, cluster_components(model) ORDER BY cluster DESC))) FROM iris));

-- From its own result a fit has nothing left to do: one refit changes no centre.
SELECT i.iterations, i.converged, i.objective = (cluster_info(model)).objective AS objective,
	(SELECT array_agg(center ORDER BY cluster) FROM cluster_components(again))
	= (SELECT array_agg(center ORDER BY cluster) FROM cluster_components(model)) AS centers
FROM (SELECT model, kmeans_fit(x, model) AS again FROM iris, fit GROUP BY model) AS f, cluster_info(again) AS i;

-- The options of a start model are left behind.
SELECT (cluster_info(kmeans_fit(x, start))).options ->> 'seed' AS seed
FROM iris, (SELECT kmeans_fit(x, 3, '{"seed": 5}') FROM iris) AS f (start);

-- ---- the plain iteration ----

-- Lloyd's iteration in plpgsql: each point to its nearest centre, the lowest number first; each
-- centre to the weighted mean of its points, until no point changes its cluster.
CREATE TABLE data (id integer, x double precision[], w double precision);
CREATE FUNCTION lloyd(start double precision[], OUT centers double precision[], OUT refits integer,
	OUT labels integer[], OUT objective double precision)
LANGUAGE plpgsql AS $$
DECLARE
	before integer[];
BEGIN
	centers := start;
	refits := 0;
	LOOP
		SELECT array_agg(cluster ORDER BY id), sum(w * distance) INTO labels, objective
		FROM (SELECT DISTINCT ON (id) id, w, cluster, distance
			FROM data, generate_series(1, array_length(centers, 1)) AS cluster,
				LATERAL (SELECT sum((x[j] - centers[cluster][j]) ^ 2)
					FROM generate_series(1, array_length(x, 1)) AS j) AS d (distance)
			ORDER BY id, distance, cluster) AS nearest;
		EXIT WHEN labels = before;
		before := labels;
		refits := refits + 1;
		SELECT array_agg(center ORDER BY cluster) INTO centers
		FROM (SELECT cluster, array_agg(value ORDER BY j) AS center
			FROM (SELECT labels[id] AS cluster, j, sum(w * x[j]) / sum(w) AS value
				FROM data, generate_series(1, array_length(start, 2)) AS j GROUP BY 1, 2) AS v
			GROUP BY cluster) AS c;
	END LOOP;
END $$;

CREATE FUNCTION agrees(start double precision[]) RETURNS TABLE (same_refits boolean, same_centers boolean,
	same_labels boolean, same_objective boolean)
LANGUAGE sql AS $$
	SELECT i.iterations = l.refits,
		(SELECT bool_and(abs(center[j] - l.centers[cluster][j]) <= 1e-12 * abs(center[j]))
			FROM cluster_components(model), generate_series(1, array_length(center, 1)) AS j),
		(SELECT array_agg(cluster_predict(model, x) ORDER BY id) FROM data) = l.labels,
		abs(i.objective - l.objective) <= 1e-12 * l.objective
	FROM (SELECT kmeans_fit(x, kmeans_model(start), NULL, w) FROM data) AS f (model),
		cluster_info(model) AS i, lloyd(start) AS l
$$;

-- Iris from its first five flowers, from one of each species, and with weights.
INSERT INTO data SELECT id, x, 1 FROM iris;
SELECT * FROM agrees(ARRAY(SELECT x FROM iris WHERE id <= 5 ORDER BY id));
SELECT * FROM agrees(ARRAY(SELECT x FROM iris WHERE id IN (1, 51, 101) ORDER BY id));
UPDATE data SET w = 1 + id % 7;
SELECT * FROM agrees(ARRAY(SELECT x FROM iris WHERE id % 11 = 0 ORDER BY id));
UPDATE data SET w = 1.0 / (id % 5 + 3);
SELECT * FROM agrees(ARRAY(SELECT x FROM iris WHERE id % 13 = 5 ORDER BY id));

-- Three hundred points around a spiral, far from the origin too.
TRUNCATE data;
INSERT INTO data SELECT i, ARRAY[cos(i) * i, sin(i) * i], 1 FROM generate_series(1, 300) AS i;
SELECT * FROM agrees(ARRAY(SELECT x FROM data WHERE id % 40 = 0 ORDER BY id));
UPDATE data SET x = ARRAY[x[1] + 1e9, x[2] - 1e9];
SELECT same_refits, same_labels FROM agrees(ARRAY(SELECT x FROM data WHERE id % 40 = 0 ORDER BY id));

-- A grid, where nearly every distance has an equal one.
TRUNCATE data;
INSERT INTO data SELECT i, ARRAY[i % 8, i / 8], 1 + i % 3 FROM generate_series(0, 63) AS i;
UPDATE data SET id = id + 1;
SELECT * FROM agrees('{{0,0},{7,0},{0,7},{7,7}}');
SELECT * FROM agrees('{{3,3},{4,4},{3,4},{4,3},{0,0}}');

-- ---- any order, any grouping ----

-- The order of the rows doesn't matter.
SELECT kmeans_fit(x, 3 ORDER BY id) = model AS up, kmeans_fit(x, 3 ORDER BY id DESC) = model AS down,
	kmeans_fit(x, 3 ORDER BY id * 37 % 151) = model AS shuffled, kmeans_fit(x, 3 ORDER BY x) = model AS by_value
FROM iris, fit GROUP BY model;

-- Weights that are whole numbers are rows that are repeated.
SELECT (SELECT kmeans_fit(x, 4, NULL, 1 + id % 3) FROM iris)
	= (SELECT kmeans_fit(x, 4) FROM iris, generate_series(1, 1 + id % 3)) AS repeated;

-- FILTER and DISTINCT are those of any aggregate; DISTINCT leaves out the flower that is there twice.
SELECT kmeans_fit(x, 2) FILTER (WHERE species <> 2) = (SELECT kmeans_fit(x, 2) FROM iris WHERE species <> 2)
	AS filtered, (cluster_info(kmeans_fit(DISTINCT x, 2))).rows AS distinct_rows
FROM iris;

-- Each group gets the model of its own rows.
SELECT species, kmeans_fit(x, 2) = (SELECT kmeans_fit(x, 2) FROM iris AS i WHERE i.species = o.species) AS own
FROM iris AS o GROUP BY species ORDER BY species;
SELECT species, (cluster_info(kmeans_fit(x, 3))).rows
FROM iris GROUP BY ROLLUP (species) ORDER BY species NULLS LAST;
SELECT id % 4 AS part, (cluster_info(kmeans_fit(x, 2))).rows FROM iris
GROUP BY id % 4 HAVING (cluster_info(kmeans_fit(x, 2))).rows > 37 ORDER BY part;

-- k, options and start may differ from group to group.
SELECT species, k, rows, options ->> 'seed' AS seed
FROM (SELECT species, cluster_info(kmeans_fit(x, species + 1, kmeans_options(seed => species))) AS i
	FROM iris GROUP BY species) AS f, LATERAL (SELECT (f.i).*) AS i ORDER BY species;

-- Grouping sets, hashed and sorted.
CREATE VIEW grouped AS
SELECT species, part, kmeans_fit(x, 2) AS m
FROM (SELECT *, id % 4 AS part FROM iris) AS i GROUP BY GROUPING SETS ((species), (part), (species, part), ());
CREATE VIEW expected AS
SELECT count(*) AS groups, bool_and(m = (SELECT kmeans_fit(x, 2) FROM iris AS i
	WHERE (g.species IS NULL OR i.species = g.species) AND (g.part IS NULL OR i.id % 4 = g.part))) AS same FROM grouped AS g;
SET enable_sort = off;
SELECT * FROM expected;
RESET enable_sort;
SET enable_hashagg = off;
SELECT * FROM expected;
RESET enable_hashagg;
DROP VIEW expected, grouped;

-- Two thousand groups of five rows.
SELECT count(*) AS groups, bool_and((cluster_info(m)).rows = 5 AND (cluster_info(m)).k = 2) AS complete,
	bool_and(m = kmeans_again) AS same
FROM (SELECT i % 2000 AS g, kmeans_fit(ARRAY[i % 7, i % 11], 2) AS m,
		kmeans_fit(ARRAY[i % 7, i % 11], 2 ORDER BY i DESC) AS kmeans_again
	FROM generate_series(1, 10000) AS i GROUP BY 1) AS f;

-- ---- windows ----

-- A window over all rows labels a table in one statement.
SELECT cluster, count(*), min(id), max(id)
FROM (SELECT id, cluster_predict(kmeans_fit(x, 3) OVER (), x) AS cluster FROM iris) AS l
GROUP BY cluster ORDER BY cluster;
SELECT bool_and(m = model) AS same FROM (SELECT kmeans_fit(x, 3) OVER () AS m FROM iris) AS w, fit;
SELECT bool_and(m = f) AS partitions
FROM (SELECT species, kmeans_fit(x, 2) OVER (PARTITION BY species) AS m FROM iris) AS w
JOIN (SELECT species, kmeans_fit(x, 2) AS f FROM iris GROUP BY species) AS g USING (species);

-- Growing and moving frames: each model is that of its frame.
SELECT bool_and(running = (SELECT kmeans_fit(x, 1) FROM iris AS i WHERE i.id <= w.id)) AS growing,
	bool_and(moving = (SELECT kmeans_fit(x, 2, '{"allow_fewer": true}') FROM iris AS i
		WHERE i.id BETWEEN w.id - 9 AND w.id + 3)) AS moving,
	bool_and(rest IS NOT DISTINCT FROM (SELECT kmeans_fit(x, 2, '{"allow_fewer": true}') FROM iris AS i
		WHERE i.id BETWEEN w.id + 1 AND 60)) AS shrinking
FROM (SELECT id, kmeans_fit(x, 1) OVER (ORDER BY id) AS running,
		kmeans_fit(x, 2, '{"allow_fewer": true}')
			OVER (ORDER BY id ROWS BETWEEN 9 PRECEDING AND 3 FOLLOWING) AS moving,
		kmeans_fit(x, 2, '{"allow_fewer": true}')
			OVER (ORDER BY id ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS rest
	FROM iris WHERE id <= 60) AS w
WHERE id <= 57;
SELECT bool_and(m = (SELECT kmeans_fit(x, 2) FROM iris AS i WHERE i.id <> w.id AND i.id <= 30)) AS others
FROM (SELECT id, kmeans_fit(x, 2) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
		EXCLUDE CURRENT ROW) AS m FROM iris WHERE id <= 30) AS w;

-- ---- types ----

-- The same values in every type of element give the same bytes.
SELECT kmeans_fit(x::smallint[], 3) = m AS smallint, kmeans_fit(x::integer[], 3) = m AS integer,
	kmeans_fit(x::bigint[], 3) = m AS bigint, kmeans_fit(x::real[], 3) = m AS real,
	kmeans_fit(x::numeric[], 3) = m AS "numeric"
FROM (SELECT ARRAY[i % 50, i * i % 31, -i % 7]::double precision[] AS x FROM generate_series(1, 200) AS i) AS t,
	(SELECT kmeans_fit(ARRAY[i % 50, i * i % 31, -i % 7]::double precision[], 3)
		FROM generate_series(1, 200) AS i) AS f (m)
GROUP BY m;
SELECT kmeans_fit(ARRAY[i % 2 = 0, i % 3 = 0], 2) = kmeans_fit(ARRAY[1 - i % 2, (i % 3 = 0)::integer], 2) AS "boolean"
FROM generate_series(1, 100) AS i;
SELECT kmeans_fit((x)::real[], 3) = kmeans_fit(x::real[]::double precision[], 3) AS real,
	kmeans_fit(x::numeric[], 3) = kmeans_fit(x, 3) AS "numeric"
FROM iris;

-- Numerics of many digits, with and without an exponent, and bigints beyond 2^53 are rounded as a cast rounds them.
SELECT kmeans_fit(x, 2) = kmeans_fit(x::double precision[], 2) AS "numeric"
FROM (VALUES ('{1.234567890123456789012345,1e-30}'::numeric[]), ('{0.1,123456789012345678901234567890}'), ('{-5e20,0}')) AS t (x);
SELECT kmeans_fit(x, 2) = kmeans_fit(x::double precision[], 2) AS "bigint"
FROM (VALUES ('{9223372036854775807}'::bigint[]), ('{-9223372036854775808}'), ('{9007199254740993}')) AS t (x);

-- Where subscripts start, and how an array is stored, doesn't matter; nor does a domain.
CREATE DOMAIN coordinates AS double precision[];
CREATE TABLE stored (id integer, x double precision[], y numeric[]);
ALTER TABLE stored ALTER x SET STORAGE EXTERNAL;
INSERT INTO stored SELECT i, ARRAY(SELECT (i * j) % 17 FROM generate_series(1, 400) AS j),
	ARRAY(SELECT (i * j) % 17 FROM generate_series(1, 400) AS j) FROM generate_series(1, 30) AS i;
SELECT kmeans_fit(x, 3) = kmeans_fit(y, 3) AS stored,
	kmeans_fit(x, 3) = kmeans_fit(ARRAY(SELECT (id * j) % 17 FROM generate_series(1, 400) AS j), 3) AS computed,
	kmeans_fit(x, 3) = kmeans_fit(x::coordinates, 3) AS domain
FROM stored;
SELECT kmeans_fit(('[5:6]={' || i || ',1}')::integer[], 2) = kmeans_fit(ARRAY[i, 1], 2) AS subscripts
FROM generate_series(1, 9) AS i;
SELECT kmeans_fit(x, 2) = kmeans_fit(array_remove(x, NULL), 2) AS room_for_nulls
FROM (SELECT (ARRAY[i, i * 2, NULL])[1:2] AS x FROM generate_series(1, 9) AS i) AS t;

-- ---- rows that are left out ----

-- A NULL point, a NULL weight and a weight of 0 are skipped, and counted.
SELECT rows, skipped, total_weight
FROM cluster_info((SELECT kmeans_fit(x, 2, '{}', w)
	FROM (VALUES (ARRAY[1], 1), (NULL, 1), (ARRAY[2], 0), (ARRAY[3], NULL), (ARRAY[5], 3), (NULL, NULL)) AS t (x, w)));

-- With "skip", so are points with an element that is NULL, NaN or infinite.
SELECT rows, skipped
FROM cluster_info((SELECT kmeans_fit(x, 2, '{"invalid": "skip"}')
	FROM (VALUES ('{NULL,1}'::double precision[]), ('{1,2}'), ('{NaN,1}'), ('{1,Infinity}'), ('{-Infinity,NULL}'),
		('{3,4}'), (NULL)) AS t (x)));
SELECT rows, skipped
FROM cluster_info((SELECT kmeans_fit(x, 1, kmeans_options(invalid => 'skip'))
	FROM (VALUES ('{NaN,1}'::numeric[]), ('{1,2}'), ('{NULL,1}'), ('{1e400,1}')) AS t (x)));
SELECT rows, skipped
FROM cluster_info((SELECT kmeans_fit(x, 1, kmeans_options(invalid => 'skip'))
	FROM (VALUES ('{NaN,1}'::real[]), ('{1,2}'), ('{NULL,1}'), ('{-Infinity,1}')) AS t (x)));

-- What is skipped leaves no trace but the count.
SELECT cluster_to_json(kmeans_fit(x, 3)) - 'skipped' = cluster_to_json(model) - 'skipped' AS same,
	(cluster_info(kmeans_fit(x, 3))).skipped
FROM (SELECT x FROM iris UNION ALL SELECT NULL FROM generate_series(1, 7)) AS t (x), fit GROUP BY model;

-- No rows, or none that are left: NULL.
SELECT kmeans_fit(x, 3) IS NULL AS none FROM iris WHERE false;
SELECT kmeans_fit(NULL::integer[], 3) IS NULL AS null_points, kmeans_fit(x, 3, NULL, 0) IS NULL AS zero_weights,
	kmeans_fit(x, 3, NULL, NULL) IS NULL AS null_weights, kmeans_fit(x, model) FILTER (WHERE false) IS NULL AS from_start
FROM iris, fit;

-- ---- options ----

-- Each seed gives its model, again and again; the optimum of iris is the same from each.
SELECT count(DISTINCT round((cluster_info(m)).objective::numeric, 6)) AS optima,
	bool_and(m = again) AS repeatable
FROM generate_series(1, 10) AS seed,
	LATERAL (SELECT kmeans_fit(x, 3, kmeans_options(seed => seed)) FROM iris) AS a (m),
	LATERAL (SELECT kmeans_fit(x, 3, kmeans_options(seed => seed) ORDER BY id DESC) FROM iris) AS b (again);

-- More starts are never worse; the best one counts.
SELECT bool_and((cluster_info(many)).objective <= (cluster_info(one)).objective) AS never_worse
FROM generate_series(1, 10) AS seed,
	LATERAL (SELECT kmeans_fit(x, 12, kmeans_options(seed => seed, init => 'random')),
		kmeans_fit(x, 12, kmeans_options(seed => seed, init => 'random', n_init => 4)) FROM iris) AS a (one, many);

-- max_iter is kept to, the model is kept too, and one warning says so for all groups.
SELECT species, iterations, converged
FROM (SELECT species, cluster_info(kmeans_fit(x, 5, '{"max_iter": 1}')) AS i FROM iris GROUP BY species) AS f,
	LATERAL (SELECT (f.i).*) AS i ORDER BY species;

-- From the same start, n iterations and then m are n + m.
SELECT (SELECT array_agg(center ORDER BY cluster) FROM cluster_components(two_and_three))
	= (SELECT array_agg(center ORDER BY cluster) FROM cluster_components(five)) AS same
FROM (SELECT kmeans_fit(x, start, '{"max_iter": 5}') AS five FROM data,
		(SELECT kmeans_model('{{0,0},{1,0},{2,0},{3,0},{4,0},{5,0}}')) AS s (start)) AS f,
	LATERAL (SELECT kmeans_fit(x, two, '{"max_iter": 3}') AS two_and_three FROM data,
		(SELECT kmeans_fit(x, kmeans_model('{{0,0},{1,0},{2,0},{3,0},{4,0},{5,0}}'), '{"max_iter": 2}') FROM data) AS t (two)) AS g;

-- tol stops earlier, with hardly more to pay.
SELECT loose.iterations < tight.iterations AS earlier, loose.converged,
	loose.objective BETWEEN tight.objective AND tight.objective * 1.1 AS near
FROM (SELECT kmeans_fit(ARRAY[i * 7919 % 10007, i * i % 10009], start),
		kmeans_fit(ARRAY[i * 7919 % 10007, i * i % 10009], start, '{"tol": 0.001}')
	FROM generate_series(1, 2000) AS i, (SELECT kmeans_model(array_agg(ARRAY[j, j]))
		FROM generate_series(1, 20) AS j) AS s (start)) AS f (a, b),
	cluster_info(a) AS tight, cluster_info(b) AS loose;

-- Fewer distinct points than clusters: as many clusters as there are points, if that is allowed.
SELECT cluster, size, center, objective
FROM cluster_components((SELECT kmeans_fit(ARRAY[v], 5, '{"allow_fewer": true}') FROM (VALUES (3), (1), (3), (7)) AS t (v)));
SELECT k FROM cluster_info((SELECT kmeans_fit(ARRAY[v], kmeans_model('{{1},{2},{3},{4},{5}}'), '{"allow_fewer": true}')
	FROM (VALUES (3), (1), (3), (7)) AS t (v)));

-- ---- soft K-means ----

-- Two points, beta 1, centres starting at both: r = 1 / (1 + exp(-(1 - 0)^2)), so that after one refit the
-- first centre is 1 - r, and the second r.
SELECT round((center[1])::numeric, 12) AS center, round((CASE cluster WHEN 1 THEN 1 - r ELSE r END)::numeric, 12) AS expected,
	round(size::numeric, 12) AS size
FROM cluster_components((SELECT kmeans_fit(ARRAY[v], kmeans_model('{{0},{1}}'), '{"beta": 1, "max_iter": 1}')
	FROM (VALUES (0), (1)) AS t (v))), (SELECT 1 / (1 + exp(-1.0::double precision))) AS s (r) ORDER BY cluster;

-- For large beta it is K-means.
SELECT bool_and(abs(h.center[j] - s.center[j]) < 1e-9) AS centers, bool_and(abs(h.size - s.size) < 1e-9) AS sizes
FROM fit, cluster_components(model) AS h,
	cluster_components((SELECT kmeans_fit(x, model, '{"beta": 1e6}') FROM iris, fit GROUP BY model)) AS s,
	generate_series(1, 4) AS j
WHERE h.cluster = s.cluster;

-- The responsibilities of the fit are those of cluster_probabilities: the centres are at their own means.
WITH soft AS (SELECT kmeans_fit(x, 3, kmeans_options(beta => 2, max_iter => 10000)) AS model FROM iris),
shares AS (SELECT cluster, p[cluster] AS r, x FROM iris, soft,
	LATERAL (SELECT cluster_probabilities(model, x)) AS c (p), generate_series(1, 3) AS cluster)
SELECT converged, bool_and(abs(center[j] - mean) < 1e-9) AS fixed_point, bool_and(abs(size - total) < 1e-9) AS sizes
FROM soft, cluster_info(model), LATERAL cluster_components(model) AS c, generate_series(1, 4) AS j,
	LATERAL (SELECT sum(r * x[j]) / sum(r), sum(r) FROM shares AS s WHERE s.cluster = c.cluster) AS m (mean, total)
GROUP BY converged;

-- ---- shapes and sizes of data ----

-- One row; one cluster; one dimension; as many clusters as rows; 2,000 dimensions.
SELECT center, size, objective FROM cluster_components((SELECT kmeans_fit(ARRAY[1.5, -2], 1)));
SELECT bool_and(abs(center[1] - 50.5) < 1e-12) AS mean, bool_and(objective = 83325) AS squares
FROM cluster_components((SELECT kmeans_fit(ARRAY[i], 1) FROM generate_series(1, 100) AS i));
SELECT count(*), sum(objective) FROM cluster_components((SELECT kmeans_fit(ARRAY[i], 100) FROM generate_series(1, 100) AS i));
SELECT dimensions, objective, (SELECT array_agg(size ORDER BY cluster) FROM cluster_components(m)) AS sizes
FROM (SELECT kmeans_fit(ARRAY(SELECT i % 3 * j FROM generate_series(1, 2000) AS j), 3) AS m
	FROM generate_series(1, 10) AS i) AS f, cluster_info(m);

-- Coordinates around 1e9 with a spread of 1: the centres are right to the last digit that there is.
SELECT center[1] - 1000000000 AS x, center[2] + 1000000000 AS y, size
FROM cluster_components((SELECT kmeans_fit(ARRAY[1e9 + i % 2 * 8 + i / 2 % 2, -1e9 + i % 2], 2)
	FROM generate_series(0, 39) AS i)) ORDER BY x;

-- Two clusters of few points: mostly the best of all cuts.
WITH point AS (SELECT g, i, ('x' || substr(md5(g || ' ' || i), 1, 4))::bit(16)::integer % 20 AS v
		FROM generate_series(1, 200) AS g, generate_series(1, 30) AS i),
	cut AS (SELECT g, v AS at, sum(n) OVER w AS n, sum(n * v) OVER w AS s, sum(n * v * v) OVER w AS q
		FROM (SELECT g, v, count(*) AS n FROM point GROUP BY g, v) AS c WINDOW w AS (PARTITION BY g ORDER BY v)),
	best AS (SELECT g, min(a.q - a.s * a.s / a.n + (b.q - a.q) - (b.s - a.s) * (b.s - a.s) / (b.n - a.n)) AS objective
		FROM cut AS a JOIN (SELECT g, max(n) AS n, max(s) AS s, max(q) AS q FROM cut GROUP BY g) AS b USING (g)
		WHERE a.n < b.n GROUP BY g),
	found AS (SELECT g, (cluster_info(kmeans_fit(ARRAY[v], 2))).objective FROM point GROUP BY g)
SELECT count(*) FILTER (WHERE found.objective < best.objective + 1e-9) >= 190 AS best,
	bool_and(found.objective > best.objective - 1e-9) AS possible
FROM found JOIN best USING (g);

-- Values of 2^-1000 have the clusters of their multiples.
SELECT (SELECT array_agg(cluster_predict(m, ARRAY[i * 2::float8 ^ -1000]) ORDER BY i) FROM generate_series(1, 12) AS i)
	= (SELECT array_agg(cluster_predict(n, ARRAY[i]) ORDER BY i) FROM generate_series(1, 12) AS i) AS same
FROM (SELECT kmeans_fit(ARRAY[i * 2::float8 ^ -1000], 3), kmeans_fit(ARRAY[i], 3) FROM generate_series(1, 12) AS i) AS f (m, n);

-- A value out of proportion to the others leaves them their digits: clusters, means, sums of squares
-- and labels are those of the plain computation, with weights and in a column of its own too.
CREATE VIEW groups AS SELECT i, i % 2 * 100 + i / 1000.0::double precision AS v, 1 + i % 3 AS w FROM generate_series(1, 100) AS i;
SELECT outlier, sizes, round(objective / plain::numeric, 9) AS objective, means, labels, converged
FROM unnest('{1e100,1e125,1e155,1e160,1e165,1e200,-1e250,1e270}'::double precision[]) AS outlier,
	LATERAL (SELECT kmeans_fit(ARRAY[v], 3, NULL, w) FROM (SELECT v, w FROM groups UNION ALL SELECT outlier, 1) AS t) AS f (m),
	LATERAL (SELECT array_agg(size ORDER BY cluster) AS sizes, sum(objective)::numeric AS objective,
			bool_and(abs(center[1] - coalesce(mean, outlier)) <= 1e-13 * abs(center[1])) AS means
		FROM cluster_components(m) LEFT JOIN (SELECT sum(w) AS s, sum(w * v) / sum(w) FROM groups GROUP BY i % 2) AS g (s, mean)
			ON s = size) AS c,
	LATERAL (SELECT sum(w * (v - mean) ^ 2) AS plain, count(DISTINCT (i % 2, cluster_predict(m, ARRAY[v]))) = 2
			AND cluster_predict(m, ARRAY[outlier]) = 3 AS labels
		FROM groups JOIN (SELECT i % 2, sum(w * v) / sum(w) FROM groups GROUP BY 1) AS g (side, mean) ON i % 2 = side) AS p,
	LATERAL (SELECT (cluster_info(m)).converged) AS i;
SELECT far, sizes, round(objective, 9) AS objective, firsts
FROM unnest('{1e125,1e170,1e270}'::double precision[]) AS far,
	LATERAL (SELECT kmeans_fit(ARRAY[CASE WHEN i < 50 THEN far ELSE -far END, i], 2) FROM generate_series(1, 99) AS i) AS f (m),
	LATERAL (SELECT array_agg(size ORDER BY cluster) AS sizes, sum(objective)::numeric AS objective,
		array_agg(center[2] ORDER BY cluster) AS firsts FROM cluster_components(m)) AS c;

-- Up to 1e30 that goes for numbers of four bytes.
SELECT sizes, kmeans_fit(x, 3) = kmeans_fit(x::double precision[], 3) AS real
FROM (SELECT ARRAY[v]::real[] AS x FROM groups UNION ALL SELECT '{1e30}') AS t,
	LATERAL (SELECT array_agg(size ORDER BY cluster) AS sizes
		FROM cluster_components((SELECT kmeans_fit(ARRAY[v]::real[], 3) FROM (SELECT v FROM groups UNION ALL SELECT 1e30) AS u))) AS c
GROUP BY sizes;

-- Differences of which a double can't hold the squares don't matter, nor do those of clusters of one value.
SELECT array_agg(size ORDER BY cluster) AS sizes, sum(objective) AS objective FROM unnest('{1,1e200,1.7e308}'::double precision[]) AS far,
	LATERAL (SELECT kmeans_fit(ARRAY[v], 2) FROM (VALUES (0), (1e-200), (5e-324), (far), (far)) AS t (v)) AS f (m),
	cluster_components(m)
GROUP BY far ORDER BY far;
SELECT size, center, objective FROM cluster_components((SELECT kmeans_fit(ARRAY[v], 2)
	FROM (VALUES (1.7e308::double precision), (5), (5), (1.7e308), (5)) AS t (v)))
ORDER BY cluster;
DROP VIEW groups;

-- All centres of the start are the same: the empty clusters take the points that are farthest off, so that
-- from 0 these become {1}, {100} and {-50, -49}.
SELECT cluster, center, size
FROM cluster_components((SELECT kmeans_fit(ARRAY[v], kmeans_model('{{0},{0},{0}}')) FROM (VALUES (1), (100), (-50), (-49)) AS t (v)));

-- ---- ways of asking ----

-- Prepared statements, with custom and generic plans.
PREPARE fit_with(integer, jsonb) AS SELECT kmeans_fit(x, $1, $2) = (SELECT model FROM fit) AS same FROM iris;
EXECUTE fit_with(3, '{}');
SET plan_cache_mode = force_generic_plan;
EXECUTE fit_with(3, '{"seed": 0}');
EXECUTE fit_with(4, '{}');
RESET plan_cache_mode;

-- Cursors, views, functions and partitioned tables.
CREATE VIEW models AS SELECT species, kmeans_fit(x, 2) AS model FROM iris GROUP BY species;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT species, (cluster_info(model)).rows FROM models ORDER BY species;
FETCH 1 FROM c;
FETCH 2 FROM c;
FETCH PRIOR FROM c;
COMMIT;
CREATE FUNCTION best_k(k integer) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	m bytea;
BEGIN
	SELECT kmeans_fit(x, k) INTO m FROM iris;
	RETURN m;
END $$;
SELECT best_k(3) = model AS same FROM fit;
SELECT k, (SELECT kmeans_fit(x, k) FROM iris) = best_k(k) AS same FROM generate_series(2, 4) AS k;
CREATE TABLE parts (LIKE iris) PARTITION BY LIST (species);
CREATE TABLE part0 PARTITION OF parts FOR VALUES IN (0);
CREATE TABLE part12 PARTITION OF parts FOR VALUES IN (1, 2);
INSERT INTO parts SELECT * FROM iris;
SELECT kmeans_fit(x, 3) = model AS same FROM parts, fit GROUP BY model;
SET enable_partitionwise_aggregate = on;
SELECT p.species, kmeans_fit(x, 2) = (SELECT model FROM models AS m WHERE m.species = p.species) AS same
FROM parts AS p GROUP BY p.species ORDER BY p.species;
RESET enable_partitionwise_aggregate;

-- A fit whose rows come from another fit: cluster the centres.
SELECT k, rows FROM cluster_info((SELECT kmeans_fit(center, 2) FROM models, cluster_components(model)));

DROP VIEW models;
DROP FUNCTION best_k, lloyd, agrees;
DROP TABLE iris, fit, data, parts, stored;
DROP DOMAIN coordinates;

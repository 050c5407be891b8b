-- Parameters against those of other software, from the same start: rows 1, 51 and 101 of the iris.
\getenv source PG_ABS_SRCDIR
CREATE TABLE iris (i integer GENERATED ALWAYS AS IDENTITY, line text, x double precision[]);
\set load 'COPY iris (line) FROM PROGRAM ''gzip -dc ' :source '/data/iris.csv.gz'''
:load;
UPDATE iris SET x = string_to_array(line, ',')::double precision[];
CREATE TABLE start AS SELECT array_agg(x ORDER BY i) AS centers FROM iris WHERE i IN (1, 51, 101);

-- the largest difference of two arrays of the same number of elements
CREATE FUNCTION difference(a double precision[], b double precision[]) RETURNS double precision LANGUAGE sql AS
$$ SELECT CASE WHEN cardinality(a) = cardinality(b) THEN max(abs(u - v)) END FROM unnest(a, b) AS t (u, v) $$;

-- K-means: R 4.2, kmeans(x, x[c(1, 51, 101), ], algorithm = "Lloyd")
SELECT difference(array_agg(center ORDER BY cluster), '{{5.006,3.428,1.462,0.246},{5.90161290322581,2.74838709677419,4.39354838709678,1.43387096774194},{6.85,3.07368421052632,5.74210526315789,2.07105263157895}}') < 1e-13 AS centers,
	array_agg(size ORDER BY cluster) AS sizes, abs(sum(objective) - 78.851441426146) < 1e-11 AS objective
FROM (SELECT kmeans_fit(x, (SELECT kmeans_model(centers) FROM start)) AS m FROM iris) AS f, cluster_components(m);

-- K-medians: the best known centres and sum of distances
SELECT round(sum(objective)::numeric, 9) AS objective, array_agg(center ORDER BY center[1]) AS centers
FROM (SELECT kmedians_fit(x, 3) AS m FROM iris) AS f, cluster_components(m);

-- Gaussian mixtures: mclust 6.0, em() to its fixed point, from equal weights and covariances of 1
CREATE TABLE reference (covariance text, log_likelihood double precision, weights double precision[], means double precision[], covariances double precision[]);
INSERT INTO reference VALUES
	('full', -180.1854771313, '{0.3333333333,0.2991931921,0.3674734746}',
		'{{5.006,3.428,1.462,0.246},{5.914969592,2.777843647,4.201553233,1.296966855},{6.544548654,2.948661152,5.479553444,1.984604959}}',
		'{{{0.121764,0.097232,0.016028,0.010124},{0.097232,0.140816,0.011464,0.009112},{0.016028,0.011464,0.029556,0.005948},{0.010124,0.009112,0.005948,0.010884}},{{0.2753187821,0.09694138063,0.184662394,0.05439074027},{0.09694138063,0.09264604116,0.09114317386,0.04299734736},{0.184662394,0.09114317386,0.2006304162,0.06097847176},{0.05439074027,0.04299734736,0.06097847176,0.03199695462}},{{0.3870442941,0.09220792072,0.3028117293,0.06165104643},{0.09220792072,0.1103377025,0.0842875781,0.0560115025},{0.3028117293,0.0842875781,0.3277973536,0.07453003997},{0.06165104643,0.0560115025,0.07453003997,0.08579773116}}}'),
	('tied', -256.35404312558, '{0.3333333333,0.3296075757,0.3370590909}',
		'{{5.006,3.428,1.462,0.246},{5.942320949,2.760759666,4.258687059,1.319195046},{6.574611764,2.980781094,5.539002506,2.024916909}}',
		'{{0.2639350453,0.08985130865,0.1696562398,0.03933904916},{0.08985130865,0.1119487698,0.05112305994,0.02998024439},{0.1696562398,0.05112305994,0.1865275244,0.04197304654},{0.03933904916,0.02998024439,0.04197304654,0.0397138122}}'),
	('diag', -307.17757159797, '{0.3333333333,0.4139922243,0.2526744424}',
		'{{5.006,3.428,1.462,0.246},{5.927756776,2.750395045,4.406370613,1.413541383},{6.809637879,3.071242573,5.724613388,2.10602302}}',
		'{{0.121764,0.140816,0.029556,0.01088399999},{0.2320064353,0.08735405713,0.2762513977,0.06915612337},{0.284525438,0.0821643983,0.2485722944,0.0601976379}}'),
	('spherical', -384.31409506082, '{0.3333333339,0.4139398201,0.252726846}',
		'{{5.006,3.427999998,1.462000003,0.2460000014},{5.90521296,2.748867567,4.40260592,1.432623546},{6.846379404,3.073677891,5.730506219,2.074624869}}',
		'{0.07575500151,0.1632694071,0.1629283428}');
CREATE TABLE units (covariance text, one double precision[]);
INSERT INTO units VALUES
	('full', '{{{1,0,0,0},{0,1,0,0},{0,0,1,0},{0,0,0,1}},{{1,0,0,0},{0,1,0,0},{0,0,1,0},{0,0,0,1}},{{1,0,0,0},{0,1,0,0},{0,0,1,0},{0,0,0,1}}}'),
	('tied', '{{1,0,0,0},{0,1,0,0},{0,0,1,0},{0,0,0,1}}'), ('diag', '{{1,1,1,1},{1,1,1,1},{1,1,1,1}}'), ('spherical', '{1,1,1}');
SELECT covariance, abs((cluster_info(m)).log_likelihood - log_likelihood) < 1e-9 AS likelihood,
	difference((SELECT array_agg(weight ORDER BY cluster) FROM cluster_components(m)), weights) < 1e-7 AS weights,
	difference((SELECT array_agg(center ORDER BY cluster) FROM cluster_components(m)), means) < 1e-7 AS means,
	difference((SELECT array_agg(v ORDER BY cluster, o) FROM cluster_components(m) AS c, unnest(c.covariance) WITH ORDINALITY AS u (v, o)
		WHERE f.covariance <> 'tied' OR cluster = 1), covariances) < 1e-7 AS covariances
FROM (SELECT r.*, gmm_fit(x, gmm_model(NULL, centers, one, covariance), gmm_options(covariance => covariance, tol => 1e-16, max_iter => 10000)) AS m
	FROM iris, start, reference AS r JOIN units USING (covariance)
	GROUP BY covariance, log_likelihood, weights, means, covariances, one, centers) AS f
ORDER BY covariance;

DROP TABLE iris, start, reference, units;
DROP FUNCTION difference;

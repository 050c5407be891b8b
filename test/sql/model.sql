--
-- Models made by hand, and models as JSON.
--

-- ---- constructors ----

-- a model says what it was made of
SELECT cluster_to_json(kmeans_model('{{1,2},{3,4},{5,6}}')) - 'options';
SELECT cluster_to_json(kmedians_model('{{0.1},{1e-3}}')) - 'options';
SELECT cluster_to_json(bernoulli_model('{0.25,0.75}', '{{0,1,0.5},{1,0,0.125}}')) - 'options';
SELECT cluster_to_json(gmm_model('{0.25,0.75}', '{{1,2},{3,4}}', '{{{2,1},{1,2}},{{1,0},{0,1}}}')) - 'options';
SELECT cluster_to_json(gmm_model('{0,1}', '{{1,2},{3,4}}', '{{2,1},{1,2}}', 'diag')) - 'options';
SELECT cluster_to_json(gmm_model('{0.5,0.5}', '{{1,2},{3,4}}', '{2,3}', 'spherical')) - 'options';
SELECT cluster_to_json(gmm_model('{0.5,0.5}', '{{1,2},{3,4}}', '{{2,1},{1,2}}', 'tied')) - 'options';
SELECT cluster_to_json(gmm_model('{0.5,0.5}', '{{1,2},{3,4}}', '{4}', 'fixed')) - 'options';

-- the options of a Gaussian mixture name its covariances
SELECT cluster_to_json(gmm_model(NULL, '{{1}}', '{4}', 'fixed')) -> 'options' @> '{"covariance": "fixed", "variance": 4}';

-- without weights, all components weigh the same
SELECT gmm_model(NULL, '{{1},{2}}', '{1,1}', 'spherical') = gmm_model('{0.5,0.5}', '{{1},{2}}', '{1,1}', 'spherical');
SELECT bernoulli_model(NULL, '{{0},{1},{1},{0}}') = bernoulli_model('{0.25,0.25,0.25,0.25}', '{{0},{1},{1},{0}}');

-- no parameters, no model
SELECT kmeans_model(NULL) IS NULL, bernoulli_model('{1}', NULL) IS NULL, gmm_model('{1}', NULL, '{1}') IS NULL,
	gmm_model('{1}', '{{1}}', NULL) IS NULL, gmm_model('{1}', '{{1}}', '{1}', NULL) IS NULL;

-- equal models are equal bytes: -0 is 0, and where subscripts start doesn't matter
SELECT kmeans_model('{{-0.0}}') = kmeans_model('{{0}}');
SELECT kmeans_model('[0:1][7:7]={{1},{2}}') = kmeans_model('{{1},{2}}');

-- the length is that of the format: header, 3k + kd parameters and the covariances, 16 for each option
SELECT length(kmeans_model('{{1,2},{3,4},{5,6}}')) = 128 + 8 * (9 + 6) + 16 * 7,
	length(gmm_model(NULL, '{{1,2},{3,4}}', '{{2,1},{1,2}}', 'tied')) = 128 + 8 * (6 + 4 + 4) + 16 * 10;

-- weights may be off by the rounding of their sum, and are kept as they are
SELECT cluster_to_json(bernoulli_model(ARRAY[1e-10, 1], '{{0},{1}}')) #>> '{clusters,0,weight}';
SELECT bernoulli_model('{0.5,0.4999999}', '{{0},{1}}');
SELECT bernoulli_model('{1.5,-0.5}', '{{0},{1}}');

-- a matrix that is symmetric but for rounding becomes symmetric, by the mean of the two
SELECT cluster_to_json(gmm_model(NULL, '{{0,0}}', '{{{1e6,1e-9},{3e-9,1e6}}}')) #> '{clusters,0,covariance}';
SELECT gmm_model(NULL, '{{0,0}}', '{{{1,0.5},{0.5000001,1}}}');

-- arrays of the wrong shape
SELECT kmeans_model('{1,2}');
SELECT kmeans_model('{}');
SELECT kmedians_model('{{{1}}}');
SELECT bernoulli_model('{0.5,0.25,0.25}', '{{0},{1}}');
SELECT bernoulli_model('{{1}}', '{{0}}');
SELECT gmm_model(NULL, '{1}', '{{{1}}}');
SELECT gmm_model(NULL, '{{1,2},{3,4}}', '{{1,0},{0,1}}');
SELECT gmm_model(NULL, '{{1,2},{3,4}}', '{{{1,0},{0,1}}}');
SELECT gmm_model(NULL, '{{1,2},{3,4}}', '{{1,1}}', 'diag');
SELECT gmm_model(NULL, '{{1,2},{3,4}}', '{1,1,1}', 'spherical');
SELECT gmm_model(NULL, '{{1,2},{3,4}}', '{{1,1}}', 'tied');
SELECT gmm_model(NULL, '{{1,2},{3,4}}', '{1,1}', 'fixed');
SELECT gmm_model(NULL, '{{1}}', '{}', 'spherical');

-- elements that are not numbers
SELECT kmeans_model('{{1,2},{3,NULL}}');
SELECT kmeans_model('{{1,2},{3,NaN}}');
SELECT kmedians_model('{{-Infinity}}');
SELECT gmm_model('{NaN}', '{{1}}', '{1}', 'fixed');
SELECT gmm_model(NULL, '{{1,2},{3,4}}', '{{{1,0},{0,1}},{{1,0},{Infinity,1}}}');

-- elements out of their range
SELECT bernoulli_model(NULL, '{{0,1},{1.5,0}}');
SELECT bernoulli_model(NULL, '{{0,-1e-9}}');
SELECT gmm_model(NULL, '{{1}}', '{1}', 'round');
SELECT gmm_model(NULL, '{{1}}', '{0}', 'fixed');
SELECT gmm_model(NULL, '{{1}}', '{-1}', 'spherical');
SELECT gmm_model(NULL, '{{1,2}}', '{{1,0}}', 'diag');
-- the second matrix has the eigenvalues 3 and -1, the tied one 2 and 0
SELECT gmm_model(NULL, '{{1,2},{3,4}}', '{{{1,0},{0,1}},{{1,2},{2,1}}}');
SELECT gmm_model(NULL, '{{1,2},{3,4}}', '{{1,1},{1,1}}', 'tied');

-- ---- JSON ----

-- this is the value of test/unit/test_model_bytes.c, whose bytes were written down by hand
CREATE TEMP TABLE document AS SELECT jsonb '{
	"format": 1, "algorithm": "kmeans", "k": 2, "dimensions": 1,
	"fitted": true, "converged": true, "rows": 4, "skipped": 1, "total_weight": 4, "iterations": 2, "objective": 2,
	"options": {"tol": 0.5, "seed": -5},
	"clusters": [{"weight": 0.75, "size": 3, "objective": 2, "center": [1]},
				 {"weight": 0.25, "size": 1, "objective": 0, "center": [-7]}],
	"trace": [{"run": 1, "iteration": 1, "objective": 2.5, "changed": 4}]}' AS d;
SELECT cluster_from_json(d) = '\x
	636c7573746d646c 0100 01 00 03000000 02000000 01000000 f800000000000000
	55ac5dceb1696f66 52f5db3baedd9a6b 0400000000000000 0100000000000000
	0000000000001040 0000000000000040 0000000000000000 0200000000000000
	02000000 01000000 0800000000000000 0000000000000000 0000000000000000
	000000000000e83f 000000000000d03f
	0000000000000840 000000000000f03f
	0000000000000040 0000000000000000
	000000000000f03f 0000000000001cc0
	03000000 02000000 000000000000e03f
	04000000 01000000 fbffffffffffffff
	01000000 01000000 0000000000000440 0400000000000000' FROM document;
SELECT cluster_to_json(cluster_from_json(d)) = d FROM document;

-- a mixture: infinite figures are strings; the likelihood may be unknown
CREATE TEMP TABLE mixture AS SELECT jsonb '{
	"format": 1, "algorithm": "gmm", "covariance_type": "tied", "k": 1, "dimensions": 2,
	"fitted": true, "converged": false, "rows": 9007199254740993, "skipped": 0, "total_weight": 0.1,
	"iterations": 300, "objective": "Infinity", "log_likelihood": "-Infinity",
	"options": {"covariance": "tied", "reg_covar": 1e-300, "seed": 9223372036854775807, "weights": "uniform"},
	"clusters": [{"weight": 1, "size": 0.1, "center": [0.30000000000000004, -1.7976931348623157e308]}],
	"covariance": [[0.1, 0.01], [0.01, 1]],
	"trace": [{"run": 2147483647, "iteration": 1, "objective": "-Infinity", "changed": 9223372036854775807}]}' AS d;
SELECT cluster_to_json(cluster_from_json(d)) = d FROM mixture;
SELECT cluster_to_json(cluster_from_json(d - 'log_likelihood')) = d - 'log_likelihood' FROM mixture;

-- every kind of model comes back to the byte, also through text
CREATE TEMP TABLE models AS
SELECT 'kmeans' AS kind, kmeans_model('{{0.1,1e300},{-5e-324,3}}') AS model
UNION ALL SELECT 'kmedians', kmedians_model('{{1},{2},{3}}')
UNION ALL SELECT 'bernoulli', bernoulli_model('{0.1,0.9}', '{{0,1},{1e-17,0.3333333333333333}}')
UNION ALL SELECT 'full', gmm_model('{0.3,0.7}', '{{1,2},{3,4}}', '{{{0.1,0.01},{0.01,0.1}},{{1,0},{0,1}}}')
UNION ALL SELECT 'diag', gmm_model('{0.3,0.7}', '{{1,2},{3,4}}', '{{1,2.2250738585072014e-308},{1e308,2}}', 'diag')
UNION ALL SELECT 'spherical', gmm_model('{0.3,0.7}', '{{1,2},{3,4}}', '{0.1,0.2}', 'spherical')
UNION ALL SELECT 'tied', gmm_model('{0.3,0.7}', '{{1,2},{3,4}}', '{{0.1,0.01},{0.01,0.1}}', 'tied')
UNION ALL SELECT 'fixed', gmm_model('{0.3,0.7}', '{{1,2},{3,4}}', '{0.1}', 'fixed')
UNION ALL SELECT 'fitted kmeans', cluster_from_json(d) FROM document
UNION ALL SELECT 'fitted gmm', cluster_from_json(d) FROM mixture;
SELECT count(*) AS models, bool_and(cluster_from_json(cluster_to_json(model)) = model) AS same,
	bool_and(cluster_from_json(cluster_to_json(model)::text::jsonb) = model) AS same_through_text
FROM models;

-- a missing key
SELECT key FROM document, jsonb_object_keys(d) AS key ORDER BY key;
SELECT cluster_from_json(d - 'k') FROM document;
SELECT cluster_from_json(d - 'skipped') FROM document;
SELECT cluster_from_json(d #- '{clusters,1,size}') FROM document;
SELECT cluster_from_json(d #- '{clusters,0,center}') FROM document;
SELECT cluster_from_json(d #- '{trace,0,changed}') FROM document;
SELECT cluster_from_json(d - 'covariance') FROM mixture;
SELECT cluster_from_json(d - 'covariance_type') FROM mixture;
SELECT cluster_from_json('{}');

-- a key that is not one, or not one of this kind of model
SELECT cluster_from_json(d || '{"centers": []}') FROM document;
SELECT cluster_from_json(d || '{"log_likelihood": 0}') FROM document;
SELECT cluster_from_json(d || '{"covariance_type": "full"}') FROM document;
SELECT cluster_from_json(d || '{"fitted": false}') FROM document;
SELECT cluster_from_json(jsonb_set(d, '{clusters,0,Weight}', '1')) FROM document;
SELECT cluster_from_json(jsonb_set(d, '{clusters,0,covariance}', '1')) FROM mixture;
SELECT cluster_from_json(jsonb_set(d, '{trace,0,k}', '1')) FROM document;
SELECT cluster_from_json(jsonb_set(d, '{options,tolerance}', '1')) FROM document;

-- a value that is not one
SELECT cluster_from_json('[]');
SELECT cluster_from_json('"kmeans"');
SELECT cluster_from_json(d || '{"format": 2}') FROM document;
SELECT cluster_from_json(d || '{"format": 0}') FROM document;
SELECT cluster_from_json(d || '{"algorithm": "k-means"}') FROM document;
SELECT cluster_from_json(d || '{"k": 0}') FROM document;
SELECT cluster_from_json(d || '{"k": 2.5}') FROM document;
SELECT cluster_from_json(d || '{"dimensions": 2147483648}') FROM document;
SELECT cluster_from_json(d || '{"rows": "4"}') FROM document;
SELECT cluster_from_json(d || '{"rows": -1}') FROM document;
SELECT cluster_from_json(d || '{"converged": 1}') FROM document;
SELECT cluster_from_json(d || '{"objective": "NaN"}') FROM document;
SELECT cluster_from_json(d || '{"objective": 1e999}') FROM document;
SELECT cluster_from_json(d || '{"total_weight": "Infinity"}') FROM mixture;
SELECT cluster_from_json(d || '{"clusters": {}}') FROM document;
SELECT cluster_from_json(d || '{"clusters": [1, 2]}') FROM document;
SELECT cluster_from_json(d || '{"options": null}') FROM document;
SELECT cluster_from_json(d || '{"trace": 1}') FROM document;
SELECT cluster_from_json(d || '{"trace": [1]}') FROM document;
SELECT cluster_from_json(jsonb_set(d, '{clusters,1,center,0}', 'null')) FROM document;
SELECT cluster_from_json(jsonb_set(d, '{covariance,0}', '1')) FROM mixture;
SELECT cluster_from_json(d || '{"covariance_type": "round"}') FROM mixture;

-- a length that is not one: nothing is allocated on the word of k and dimensions alone
SELECT cluster_from_json(d || '{"k": 3}') FROM document;
SELECT cluster_from_json(d || '{"k": 2147483647, "dimensions": 2147483647}') FROM document;
SELECT cluster_from_json(d || '{"dimensions": 2147483647}') FROM document;
SELECT cluster_from_json(jsonb_set(d, '{clusters,1,center}', '[]')) FROM document;
SELECT cluster_from_json(jsonb_set(d, '{covariance,1}', '[1, 2, 3]')) FROM mixture;
SELECT cluster_from_json(jsonb_set(d, '{covariance}', '[[1, 2]]')) FROM mixture;

-- values that don't make a model together
SELECT cluster_from_json(jsonb_set(d, '{clusters,1,weight}', '0.5')) FROM document;
SELECT cluster_from_json(jsonb_set(d, '{clusters,1,objective}', '-1')) FROM document;
SELECT cluster_from_json(d || '{"objective": "Infinity"}') FROM document;
SELECT cluster_from_json(jsonb_set(d, '{covariance,0,1}', '0.5')) FROM mixture;
SELECT cluster_from_json(jsonb_set(d, '{options,covariance}', '"full"')) FROM mixture;
SELECT cluster_from_json('{"format": 1, "algorithm": "bernoulli", "k": 1, "dimensions": 1, "fitted": false,
	"options": {}, "clusters": [{"weight": 1, "center": [2]}]}');

-- a model that would not fit into a value is refused before memory is taken: 10000 x 12000 x 12000 doubles
SELECT cluster_from_json(jsonb_build_object('format', 1, 'algorithm', 'gmm', 'covariance_type', 'full', 'k', 10000,
	'dimensions', 12000, 'fitted', false, 'options', '{}'::jsonb, 'clusters',
	(SELECT jsonb_agg(jsonb_build_object('center', CASE i WHEN 1 THEN array_fill(0, ARRAY[12000]) ELSE '{}' END))
	 FROM generate_series(1, 10000) i)));

-- ---- large values ----

-- through a table, compressed and out of line, a model stays the same
CREATE TEMP TABLE stored (model bytea);
INSERT INTO stored SELECT kmeans_model(array_agg(ARRAY[i, sqrt(i)])) FROM generate_series(1, 20000) i;
SELECT pg_column_size(model) > 100000, length(model) = 128 + 8 * 5 * 20000 + 16 * 7,
	cluster_to_json(model) #>> '{clusters,19999,center,0}' FROM stored;
SELECT cluster_from_json(cluster_to_json(model)) = model FROM stored;

--
-- Options of a fit: the functions that build them, and what they refuse.
--

-- without arguments they give the defaults of their algorithm, those that a model made by hand carries
SELECT cluster_to_json(kmeans_model('{{0}}')) -> 'options' = kmeans_options();
SELECT cluster_to_json(kmedians_model('{{0}}')) -> 'options' = kmedians_options();
SELECT cluster_to_json(gmm_model(NULL, '{{0}}', '{1}', 'spherical')) -> 'options'
	= gmm_options(covariance => 'spherical');
SELECT cluster_to_json(bernoulli_model(NULL, '{{0}}')) -> 'options' = bernoulli_options();

-- what is given stands in the object
SELECT kmeans_options(init => 'random', n_init => 10, max_iter => 7, tol => 0.1, seed => -1, beta => 2.5,
	invalid => 'skip', allow_fewer => true)
	= '{"init": "random", "n_init": 10, "max_iter": 7, "tol": 0.1, "seed": -1, "beta": 2.5,
		"invalid": "skip", "allow_fewer": true}';
SELECT gmm_options(covariance => 'fixed', variance => 4, reg_covar => 0, weights => 'uniform')
	@> '{"covariance": "fixed", "variance": 4, "reg_covar": 0, "weights": "uniform"}';
SELECT bernoulli_options(smoothing => 0.5) ->> 'smoothing';
SELECT kmedians_options(max_iter => 1000000000) ->> 'max_iter';

-- a NULL is left out: nothing is left when all are
SELECT kmeans_options(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT gmm_options(n_init => NULL) ? 'n_init' AS n_init, gmm_options() ? 'reg_covar' AS reg_covar,
	kmeans_options() ? 'beta' AS beta;

-- a seed may be any bigint
SELECT kmeans_options(seed => 9223372036854775807) ->> 'seed',
	kmeans_options(seed => -9223372036854775808) ->> 'seed';

-- a number is written with as many digits as it takes to read it back
SELECT (kmeans_options(tol => 0.1) ->> 'tol')::double precision = 0.1,
	(kmeans_options(tol => 1e-300) ->> 'tol')::double precision = 1e-300,
	(kmeans_options(beta => 1.7976931348623157e308) ->> 'beta')::double precision = 1.7976931348623157e308;

-- every option has its range, and the error says which
SELECT kmeans_options(init => 'kmeans++');
SELECT kmeans_options(init => '');
SELECT kmeans_options(n_init => 0);
SELECT kmeans_options(n_init => 100001);
SELECT kmeans_options(max_iter => 0);
SELECT kmeans_options(tol => -1e-9);
SELECT kmeans_options(tol => 'NaN');
SELECT kmeans_options(tol => 'Infinity');
SELECT kmeans_options(beta => 0);
SELECT kmedians_options(invalid => 'ignore');
SELECT gmm_options(covariance => 'isotropic');
SELECT gmm_options(variance => 0);
SELECT gmm_options(reg_covar => -1);
SELECT gmm_options(weights => 'equal');
SELECT bernoulli_options(smoothing => -0.5);

-- a long value is cut short in the message
SELECT kmeans_options(init => repeat('random ', 100));

-- they fold to constants, as the functions that use them do
SELECT provolatile, proparallel, proisstrict, count(*) FROM pg_proc
WHERE proname IN ('kmeans_options', 'kmedians_options', 'gmm_options', 'bernoulli_options')
GROUP BY 1, 2, 3;

-- objects are read with the same checks: of a model as JSON, ...
CREATE FUNCTION pg_temp.with_options(algorithm text, options jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT cluster_to_json(cluster_from_json(jsonb_build_object('format', 1, 'algorithm', algorithm, 'k', 1,
		'dimensions', 1, 'fitted', false, 'options', options,
		'clusters', '[{"weight": 1, "center": [0.5]}]'::jsonb))) ->> 'options'
$$;
SELECT pg_temp.with_options('kmeans', '{}');
SELECT pg_temp.with_options('kmeans', '{"tol": 1, "seed": 5.00, "n_init": 3e2, "init": "random", "allow_fewer": true}');
-- (a null stands for an option that is not there)
SELECT pg_temp.with_options('kmeans', '{"beta": null}');
SELECT pg_temp.with_options('kmeans', '{"n-init": 3}');
SELECT pg_temp.with_options('bernoulli', '{"N_INIT": 3}');
SELECT pg_temp.with_options('kmedians', '{"beta": 3}');
SELECT pg_temp.with_options('kmeans', '{"n_init": "3"}');
SELECT pg_temp.with_options('kmeans', '{"n_init": 3.5}');
SELECT pg_temp.with_options('kmeans', '{"n_init": [3]}');
SELECT pg_temp.with_options('kmeans', '{"init": 1}');
SELECT pg_temp.with_options('kmeans', '{"tol": true}');
SELECT pg_temp.with_options('kmeans', '{"tol": {}}');
SELECT pg_temp.with_options('kmeans', '{"allow_fewer": 1}');
SELECT pg_temp.with_options('kmeans', '{"seed": 9223372036854775808}');
SELECT pg_temp.with_options('kmeans', '{"tol": 1e400}');
SELECT pg_temp.with_options('kmeans', '{"tol": 1e-400}');
SELECT pg_temp.with_options('bernoulli', '{"smoothing": -1}');

-- ... and of a fit, which an object is required for
SELECT kmeans_fit(ARRAY[1.0], 1, '{"n-init": 3}');
SELECT kmeans_fit(ARRAY[1.0], 1, '{"smoothing": 3}');
SELECT kmeans_fit(ARRAY[1.0], 1, '{"tol": -1}');
SELECT kmeans_fit(ARRAY[1.0], 1, '[]');
SELECT kmeans_fit(ARRAY[1.0], 1, '3');

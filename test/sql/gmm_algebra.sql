--
-- Mixtures as distributions: moments, sums, marginals, conditionals, samples, divergences.
--

CREATE TABLE models AS SELECT * FROM (VALUES
	('full', gmm_model('{0.25,0.75}', '{{0,1},{4,-1}}', '{{{2,0.5},{0.5,1}},{{1,0},{0,2}}}')),
	('diag', gmm_model('{0.5,0.5}', '{{0,0},{1,3}}', '{{1,2},{3,4}}', 'diag')),
	('spherical', gmm_model('{0.5,0.5}', '{{0,0},{1,3}}', '{1,2}', 'spherical')),
	('tied', gmm_model('{0.5,0.5}', '{{0,0},{1,3}}', '{{2,1},{1,3}}', 'tied')),
	('fixed', gmm_model('{0.5,0.5}', '{{0,0},{1,3}}', '{2}', 'fixed'))) AS t (name, m);

-- ---- moments ----

-- E[x] = 0.75 * (4, -1) + 0.25 * (0, 1); Cov[x] within plus 3/16 of the squared difference of the means
SELECT cluster_mean(m), cluster_covariance(m) FROM models WHERE name = 'full';

-- of a Bernoulli mixture: two opposite pairs of probabilities make a correlation
SELECT cluster_mean(b), cluster_covariance(b) FROM (SELECT bernoulli_model(NULL, '{{0.25,1},{0.75,0}}') AS b) AS t;

-- a fit without regularisation has the moments of its rows
SELECT bool_and(abs(a - b) < 1e-9) AS same
FROM (SELECT gmm_fit(ARRAY[sin(i), i % 7 + cos(i)], 3) AS f,
		ARRAY[avg(sin(i)), avg(i % 7 + cos(i)), var_pop(sin(i)), covar_pop(sin(i), i % 7 + cos(i)), covar_pop(sin(i), i % 7 + cos(i)), var_pop(i % 7 + cos(i))] AS e
	FROM generate_series(1, 200) AS i) AS r,
	unnest(cluster_mean(f) || ARRAY(SELECT unnest(cluster_covariance(f))), e) AS t (a, b);

-- K-means is no distribution
SELECT cluster_mean(kmeans_model('{{1,2}}'));

-- ---- sums ----

-- N(1, 4) + N(2, 5) = N(3, 9)
SELECT weight, center, covariance
FROM cluster_components(gmm_add(gmm_model(NULL, '{{1}}', '{4}', 'fixed'), gmm_model(NULL, '{{2}}', '{5}', 'spherical')));

-- moments add, in all pairs of structures; what can stay diagonal does
SELECT a.name AS a, b.name AS b, (cluster_info(s)).options ->> 'covariance' AS sum, (cluster_info(s)).k,
	(SELECT bool_and(abs(u + v - w) < 1e-12) FROM unnest(cluster_covariance(a.m), cluster_covariance(b.m), cluster_covariance(s)) AS t (u, v, w)) AS moments
FROM models AS a JOIN models AS b ON a.name <= b.name, LATERAL (SELECT gmm_add(a.m, b.m)) AS r (s) ORDER BY 1, 2;
SELECT gmm_add(gmm_model(NULL, '{{1}}', '{4}', 'fixed'), gmm_model(NULL, '{{1,2}}', '{4}', 'fixed'));

-- ---- marginals and conditionals ----

-- rows and columns, in the order asked for
SELECT weight, center, covariance FROM models, cluster_components(gmm_marginal(m, '{2,1}')) WHERE name = 'full';
SELECT name, center, covariance FROM models, cluster_components(gmm_marginal(m, '{2}')) WHERE cluster = 2 ORDER BY name;

-- y given x = 2 of N((0,0), ((4,2),(2,3))): mean 2/4 * 2 = 1, variance 3 - 2 * 2 / 4 = 2
SELECT center, covariance FROM cluster_components(gmm_condition(gmm_model(NULL, '{{0,0}}', '{{{4,2},{2,3}}}'), '{1}', '{2}'));

-- weights follow the density of what is given: here that of a standard normal at 0 and 2
SELECT round(weight::numeric, 6) AS weight, round((1 / (1 + exp(-2)))::numeric, 6) AS expected
FROM cluster_components(gmm_condition(gmm_model(NULL, '{{0,5},{2,6}}', '{1}', 'fixed'), '{1}', '{0}')) WHERE cluster = 1;

-- conditional times marginal is the whole, in every structure
SELECT name, abs(cluster_log_density(gmm_condition(m, '{2}', '{0.5}'), ARRAY[1.5]) + cluster_log_density(gmm_marginal(m, '{2}'), ARRAY[0.5])
	- cluster_log_density(m, ARRAY[1.5, 0.5])) < 1e-13 AS whole
FROM models ORDER BY name;

SELECT gmm_marginal(m, '{3}') FROM models WHERE name = 'full';
SELECT gmm_marginal(m, '{1,1}') FROM models WHERE name = 'full';
SELECT gmm_condition(m, '{1,2}', '{0,0}') FROM models WHERE name = 'full';
SELECT gmm_condition(m, '{1}', '{0,0}') FROM models WHERE name = 'full';
SELECT gmm_condition(m, '{1}', '{NaN}') FROM models WHERE name = 'full';

-- ---- samples ----

-- the same seed gives the same rows, everywhere; another seed others
SELECT cluster, ARRAY(SELECT round(v::numeric, 6) FROM unnest(x) AS v) AS x FROM models, cluster_sample(m, 3, 42) WHERE name = 'full';
SELECT count(*) FROM (SELECT x FROM models, cluster_sample(m, 100, 1) WHERE name = 'full' INTERSECT SELECT x FROM models, cluster_sample(m, 100, 2) WHERE name = 'full') AS t;

-- components by weight, means and covariances within five standard errors of 20,000 draws
SELECT name, abs(avg((cluster = 2)::integer) - min(weight)) < 5 * sqrt(0.25 / 20000) AS counts,
	abs(avg(x[1]) - min((cluster_mean(m))[1])) < 5 * sqrt(min((cluster_covariance(m))[1][1]) / 20000) AS means,
	abs(covar_pop(x[1], x[2]) / min((cluster_covariance(m))[1][2]) - 1) < 0.1 AS covariances
FROM models, cluster_sample(m, 20000, 3), LATERAL (SELECT weight FROM cluster_components(m) AS c WHERE c.cluster = 2) AS w
GROUP BY name ORDER BY name;

-- sums of draws are draws of the sum
SELECT abs(avg(a.x[1] + b.x[1]) - min((cluster_mean(s))[1])) < 5 * sqrt(min((cluster_covariance(s))[1][1]) / 20000) AS mean,
	abs(var_pop(a.x[1] + b.x[1]) / min((cluster_covariance(s))[1][1]) - 1) < 0.05 AS variance
FROM (SELECT f.m AS f, g.m AS g, gmm_add(f.m, g.m) AS s FROM models AS f, models AS g WHERE f.name = 'full' AND g.name = 'diag') AS r,
	ROWS FROM (cluster_sample(f, 20000, 4), cluster_sample(g, 20000, 5)) AS p (ca, a, cb, b),
	LATERAL (SELECT p.a AS x) AS a, LATERAL (SELECT p.b AS x) AS b;

-- bits from a Bernoulli mixture
SELECT count(*) FILTER (WHERE x[1] NOT IN (0, 1)) AS other, abs(avg(x[2]) - 0.5) < 0.03 AS mean
FROM cluster_sample(bernoulli_model(NULL, '{{0.25,1},{0.75,0}}'), 10000, 6);
SELECT count(*) FROM models, cluster_sample(m, 0, 1) WHERE name = 'full';
SELECT cluster_sample(m, -1, 1) FROM models WHERE name = 'full';

-- ---- divergences ----

-- equal: 0; twice the standard deviation in one dimension: ln 2 - 3/8; a shift of 3 standard deviations: 9/2
SELECT gaussian_kl('{1,2}', '{{2,1},{1,2}}', '{1,2}', '{{2,1},{1,2}}') AS equal,
	gaussian_kl('{0}', '{{1}}', '{0}', '{{4}}') - (ln(2::float8) - 3.0 / 8) < 1e-15 AS wider, gaussian_kl('{0}', '{1}', '{6}', '{4}') - (ln(2::float8) - 3.0 / 8) AS shift;
SELECT gaussian_kl('{0,0}', '{{1,2},{2,1}}', '{0,0}', '{{1,0},{0,1}}');
SELECT gaussian_kl('{0,0}', '{{1,0.5},{0,1}}', '{0,0}', '{{1,0},{0,1}}');
SELECT gaussian_kl('{0,0}', '{{1,0},{0,1}}', '{0,0,0}', '{{1,0},{0,1}}');
SELECT gaussian_kl(array_fill(0, ARRAY[100000]), '{1,1}', array_fill(0, ARRAY[100000]), '{1,1}');
SELECT gaussian_kl('{0,0}', '{{1,0,0},{0,1,0}}', '{0,0}', '{{1,0},{0,1}}');

-- exact for one component each: no standard error
SELECT kl, stderr FROM gmm_kl(gmm_model(NULL, '{{0}}', '{4}', 'fixed'), gmm_model(NULL, '{{6}}', '{4}', 'spherical'), 10, 1);

-- by samples else: of a mixture from itself nothing, of one with two equal halves what it is in closed form, 9/2
SELECT kl, stderr FROM models, gmm_kl(m, m, 1000, 1) WHERE name = 'full';
SELECT abs(kl - 4.5) < 5 * stderr AS near, stderr < 0.05 AS close
FROM gmm_kl(gmm_model(NULL, '{{0},{0}}', '{4}', 'fixed'), gmm_model(NULL, '{{6}}', '{4}', 'fixed'), 20000, 1);
SELECT kl FROM models, gmm_kl(m, m, 1, 1) WHERE name = 'full';

-- ---- beyond the range of double precision ----

-- a component without weight adds nothing, however far out it is
SELECT cluster_covariance(gmm_model('{0,1}', '{{1e200},{0}}', '{1}', 'fixed'));

-- moments and divergences that a double can't hold are errors, not Infinity or NaN
SELECT cluster_covariance(gmm_model(NULL, '{{-1e200},{1e200}}', '{1}', 'fixed'));
SELECT cluster_mean(gmm_model('{0.5,0.5000000005}', '{{1.7976931348623157e308},{1.7976931348623157e308}}', '{1}', 'fixed'));
SELECT * FROM gmm_kl(gmm_model(NULL, '{{0}}', '{1}', 'fixed'), gmm_model(NULL, '{{1e200}}', '{1}', 'fixed'), 10, 1);
SELECT * FROM gmm_kl(gmm_model(NULL, '{{0},{1}}', '{1}', 'fixed'), gmm_model(NULL, '{{1e200},{1}}', '{1e-300}', 'fixed'), 10, 1);

DROP TABLE models;

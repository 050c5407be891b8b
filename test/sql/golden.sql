-- The same bytes on every machine, PostgreSQL version, compiler and instruction set, with any number
-- of workers, in memory or not: hashes of models of all algorithms and options over the data of
-- test/data.  test/t/030_determinism.pl runs this file under many settings.
--
-- A hash may change only with a change of an algorithm that is meant, and is said in CHANGELOG.md.
\getenv source PG_ABS_SRCDIR
SET client_min_messages = error;
CREATE SCHEMA golden;
SET search_path = golden, public;

CREATE TABLE line (i integer GENERATED ALWAYS AS IDENTITY, x text);
CREATE FUNCTION take_lines(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I AS SELECT i, i %% 5 + 1 AS w, (i %% 7 + 1) / 3.0 AS f, string_to_array(x, '','')::float8[] AS x FROM line', name);
	TRUNCATE line RESTART IDENTITY;
END $$;
\set load 'COPY line (x) FROM PROGRAM ''gzip -dc ' :source '/data/iris.csv.gz'''
:load;
SELECT take_lines('iris');
\set load 'COPY line (x) FROM PROGRAM ''gzip -dc ' :source '/data/wine.csv.gz'''
:load;
SELECT take_lines('wine');
\set load 'COPY line (x) FROM PROGRAM ''gzip -dc ' :source '/data/faithful.csv.gz'''
:load;
SELECT take_lines('faithful');
\set load 'COPY line (x) FROM PROGRAM ''gzip -dc ' :source '/data/zoo.csv.gz'''
:load;
SELECT take_lines('zoo');
\set load 'COPY line (x) FROM PROGRAM ''gzip -dc ' :source '/data/letter.csv.gz'''
:load;
SELECT take_lines('letter');
\set load 'COPY line (x) FROM PROGRAM ''gzip -dc ' :source '/data/birch1.csv.gz'''
:load;
SELECT take_lines('birch1');
\set load 'COPY line (x) FROM PROGRAM ''gzip -dc ' :source '/data/digits.csv.gz'''
:load;
CREATE TABLE digits AS SELECT i, x::bit varying AS x FROM line;
-- of many columns, in which bounds come first
CREATE TABLE pixels AS SELECT i, string_to_array(x, NULL)::float8[] AS x FROM line;
-- whose points are often equally far from two centres
CREATE TABLE grid AS
SELECT i, i % 5 + 1 AS w, ARRAY(SELECT ('x' || left(md5('1' || c || i), 4))::bit(16)::integer % side
	FROM (VALUES ('a', 8), ('b', 8), ('c', 4)) AS t (c, side) ORDER BY c)::float8[] AS x
FROM generate_series(1, 600) i;
VACUUM ANALYZE;

-- The fits: aggregates over tables.
CREATE TABLE fits (id integer GENERATED ALWAYS AS IDENTITY, data text, call text);
INSERT INTO fits (data, call) VALUES
	('iris', 'kmeans_fit(x, 3)'),
	('iris', 'kmeans_fit(x::real[], 3)'),
	('iris', 'kmeans_fit(x, 7, ''{"n_init": 5, "seed": -9}'')'),
	('iris', 'kmeans_fit(x, 5, ''{"init": "random", "max_iter": 2}'')'),
	('iris', 'kmeans_fit(x, 4, ''{}'', w)'),
	('iris', 'kmeans_fit(x, 4, ''{"tol": 0.01}'', f)'),
	('iris', 'kmeans_fit(x, 200, ''{"allow_fewer": true}'')'),
	('iris', 'kmeans_fit(x, 3, ''{"beta": 2}'', f)'),
	('iris', 'kmeans_fit(x, kmeans_model(''{{5,3,1,0},{6,3,4,1},{7,3,6,2}}''))'),
	('wine', 'kmeans_fit(x, 3)'),
	('letter', 'kmeans_fit(x::smallint[], 26)'),
	('birch1', 'kmeans_fit(x, 100)'),
	('birch1', 'kmeans_fit(x, 10, ''{}'', f)'),
	('birch1', 'kmeans_fit(x, 3, ''{"beta": 1e-10, "max_iter": 10}'')'),
	('pixels', 'kmeans_fit(x, 40)'),
	('pixels', 'kmeans_fit(x::real[], 64, ''{"n_init": 2, "max_iter": 5}'')'),
	('iris', 'kmedians_fit(x, 3)'),
	('iris', 'kmedians_fit(x::real[], 3, ''{"n_init": 3, "seed": 1}'', w)'),
	('iris', 'kmedians_fit(x, 4, ''{"init": "random"}'', f)'),
	('wine', 'kmedians_fit(x, 5, ''{"max_iter": 2}'')'),
	('iris', 'kmedians_fit(x, kmedians_model(''{{5,3,1,0},{6,3,4,1},{7,3,6,2}}''))'),
	('letter', 'kmedians_fit(x::integer[], 10)'),
	('birch1', 'kmedians_fit(x, 20)'),
	('grid', 'kmedians_fit(x, 16)'),
	('grid', 'kmedians_fit(x, 16, ''{}'', w)'),
	('iris', 'gmm_fit(x, 3)'),
	('iris', 'gmm_fit(x, 3, ''{"covariance": "tied"}'')'),
	('iris', 'gmm_fit(x, 3, ''{"covariance": "diag"}'', w)'),
	('iris', 'gmm_fit(x, 3, ''{"covariance": "spherical"}'', f)'),
	('iris', 'gmm_fit(x, 3, ''{"covariance": "fixed", "variance": 0.1}'')'),
	('iris', 'gmm_fit(x, 4, ''{"weights": "uniform", "init": "random", "seed": 3}'')'),
	('faithful', 'gmm_fit(x, 2, ''{"n_init": 2, "tol": 1e-9}'')'),
	('faithful', 'gmm_fit(x, 3, ''{"reg_covar": 0.01}'')'),
	('wine', 'gmm_fit(x, 3)'),
	('letter', 'gmm_fit(x, 5, ''{"covariance": "diag", "max_iter": 10}'')'),
	('birch1', 'gmm_fit(x, 8, ''{"max_iter": 10}'')'),
	('zoo', 'bernoulli_fit(x, 4)'),
	('zoo', 'bernoulli_fit(x::integer[]::boolean[], 3, ''{"smoothing": 0.5}'', f)'),
	('zoo', 'bernoulli_fit(x, 3, ''{"weights": "uniform", "n_init": 2}'', w)'),
	('zoo', 'bernoulli_fit(x, 5, ''{"init": "random", "seed": 8}'')'),
	('digits', 'bernoulli_fit(x, 10, ''{"max_iter": 20}'')'),
	('birch1', 'cluster_step(x, kmeans_model(''{{100000,100000},{500000,500000},{900000,200000}}''))');

CREATE FUNCTION fit(data text, call text, rows text DEFAULT '') RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	m bytea;
BEGIN
	EXECUTE format('SELECT %s FROM (SELECT * FROM %I %s) AS t', call, data, rows) INTO m;
	RETURN m;
END $$;
CREATE TABLE models AS SELECT id, data, call, fit(data, call) AS m FROM fits;
SELECT data, call, md5(m) FROM models ORDER BY id;

-- Over a query, in many passes.
SELECT md5(kmeans_fit_query('SELECT x FROM golden.birch1', 10, '{"max_iter": 20}'));

-- What is done with models: labels, distances, densities, algebra.
CREATE FUNCTION applied(data text, m bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hash text;
BEGIN
	EXECUTE format('SELECT md5(string_agg(int4send(cluster_predict($1, x)) || float8send(cluster_distance($1, x))'
		' || array_send(cluster_distances($1, x)) || array_send(cluster_probabilities($1, x)), '''' ORDER BY i)) FROM %I'
		' WHERE i <= 500', data)
	INTO hash USING m;
	RETURN hash;
END $$;
SELECT data, call, applied(data, m) FROM models WHERE call ~ 'fit\(x, \d+(, ''\{"(cov|beta).*)?\)$' ORDER BY id;
SELECT md5(string_agg(float8send(cluster_log_density(m, x)), '' ORDER BY t.i))
FROM iris t, models WHERE data = 'iris' AND call = 'gmm_fit(x, 3)';
SELECT md5(gmm_add(m, m)) AS sum, md5(gmm_marginal(m, '{2,4}')) AS marginal,
	md5(gmm_condition(m, '{1,3}', '{5.5,2}')) AS conditional,
	md5((SELECT string_agg(array_send(s.x), '') FROM cluster_sample(m, 100, 5) AS s)) AS sample
FROM models WHERE data = 'iris' AND call = 'gmm_fit(x, 3)';

-- The same rows in another order, and as weights: the same bytes.
SELECT bool_and(m = fit(data, call, 'ORDER BY hashint4(i + 12345)')) AS shuffled FROM models WHERE data <> 'birch1';
SELECT count(*), bool_and(fit(data, replace(call, ', w)', ')'), 'CROSS JOIN LATERAL generate_series(1, w)') = m) AS repeated
FROM models WHERE call LIKE '%, w)';

DROP SCHEMA golden CASCADE;

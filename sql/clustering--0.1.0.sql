/* clustering--0.1.0.sql: the SQL surface of the extension. */

\echo Use "CREATE EXTENSION clustering" to load this file. \quit

-- ---- fit: what all algorithms share ----

CREATE FUNCTION clustering_fit_final(internal) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_fit_final'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION clustering_fit_final(internal) IS
	'fits a model to the rows that a fit aggregate has collected';

-- ---- fit: K-means ----

CREATE FUNCTION kmeans_fit_transition(internal, anyarray, integer) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_kmeans_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmeans_fit_transition(internal, anyarray, integer) IS
	'collects a row for kmeans_fit';

CREATE AGGREGATE kmeans_fit(x anyarray, k integer) (
	SFUNC = kmeans_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE kmeans_fit(anyarray, integer) IS
	'fits a K-means model to rows, starting from k clusters';

CREATE FUNCTION kmeans_fit_transition(internal, anyarray, integer, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_kmeans_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmeans_fit_transition(internal, anyarray, integer, jsonb) IS
	'collects a row for kmeans_fit';

CREATE AGGREGATE kmeans_fit(x anyarray, k integer, options jsonb) (
	SFUNC = kmeans_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE kmeans_fit(anyarray, integer, jsonb) IS
	'fits a K-means model to rows, starting from k clusters, with options';

CREATE FUNCTION kmeans_fit_transition(internal, anyarray, integer, jsonb, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_kmeans_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmeans_fit_transition(internal, anyarray, integer, jsonb, double precision) IS
	'collects a row for kmeans_fit';

CREATE AGGREGATE kmeans_fit(x anyarray, k integer, options jsonb, weight double precision) (
	SFUNC = kmeans_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE kmeans_fit(anyarray, integer, jsonb, double precision) IS
	'fits a K-means model to rows, starting from k clusters, with options and row weights';

CREATE FUNCTION kmeans_fit_transition(internal, anyarray, bytea) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_kmeans_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmeans_fit_transition(internal, anyarray, bytea) IS
	'collects a row for kmeans_fit';

CREATE AGGREGATE kmeans_fit(x anyarray, start bytea) (
	SFUNC = kmeans_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE kmeans_fit(anyarray, bytea) IS
	'fits a K-means model to rows, starting from a model';

CREATE FUNCTION kmeans_fit_transition(internal, anyarray, bytea, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_kmeans_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmeans_fit_transition(internal, anyarray, bytea, jsonb) IS
	'collects a row for kmeans_fit';

CREATE AGGREGATE kmeans_fit(x anyarray, start bytea, options jsonb) (
	SFUNC = kmeans_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE kmeans_fit(anyarray, bytea, jsonb) IS
	'fits a K-means model to rows, starting from a model, with options';

CREATE FUNCTION kmeans_fit_transition(internal, anyarray, bytea, jsonb, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_kmeans_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmeans_fit_transition(internal, anyarray, bytea, jsonb, double precision) IS
	'collects a row for kmeans_fit';

CREATE AGGREGATE kmeans_fit(x anyarray, start bytea, options jsonb, weight double precision) (
	SFUNC = kmeans_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE kmeans_fit(anyarray, bytea, jsonb, double precision) IS
	'fits a K-means model to rows, starting from a model, with options and row weights';

-- ---- fit: K-medians ----

CREATE FUNCTION kmedians_fit_transition(internal, anyarray, integer) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_kmedians_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmedians_fit_transition(internal, anyarray, integer) IS
	'collects a row for kmedians_fit';

CREATE AGGREGATE kmedians_fit(x anyarray, k integer) (
	SFUNC = kmedians_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE kmedians_fit(anyarray, integer) IS
	'fits a K-medians model to rows, starting from k clusters';

CREATE FUNCTION kmedians_fit_transition(internal, anyarray, integer, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_kmedians_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmedians_fit_transition(internal, anyarray, integer, jsonb) IS
	'collects a row for kmedians_fit';

CREATE AGGREGATE kmedians_fit(x anyarray, k integer, options jsonb) (
	SFUNC = kmedians_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE kmedians_fit(anyarray, integer, jsonb) IS
	'fits a K-medians model to rows, starting from k clusters, with options';

CREATE FUNCTION kmedians_fit_transition(internal, anyarray, integer, jsonb, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_kmedians_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmedians_fit_transition(internal, anyarray, integer, jsonb, double precision) IS
	'collects a row for kmedians_fit';

CREATE AGGREGATE kmedians_fit(x anyarray, k integer, options jsonb, weight double precision) (
	SFUNC = kmedians_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE kmedians_fit(anyarray, integer, jsonb, double precision) IS
	'fits a K-medians model to rows, starting from k clusters, with options and row weights';

CREATE FUNCTION kmedians_fit_transition(internal, anyarray, bytea) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_kmedians_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmedians_fit_transition(internal, anyarray, bytea) IS
	'collects a row for kmedians_fit';

CREATE AGGREGATE kmedians_fit(x anyarray, start bytea) (
	SFUNC = kmedians_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE kmedians_fit(anyarray, bytea) IS
	'fits a K-medians model to rows, starting from a model';

CREATE FUNCTION kmedians_fit_transition(internal, anyarray, bytea, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_kmedians_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmedians_fit_transition(internal, anyarray, bytea, jsonb) IS
	'collects a row for kmedians_fit';

CREATE AGGREGATE kmedians_fit(x anyarray, start bytea, options jsonb) (
	SFUNC = kmedians_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE kmedians_fit(anyarray, bytea, jsonb) IS
	'fits a K-medians model to rows, starting from a model, with options';

CREATE FUNCTION kmedians_fit_transition(internal, anyarray, bytea, jsonb, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_kmedians_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmedians_fit_transition(internal, anyarray, bytea, jsonb, double precision) IS
	'collects a row for kmedians_fit';

CREATE AGGREGATE kmedians_fit(x anyarray, start bytea, options jsonb, weight double precision) (
	SFUNC = kmedians_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE kmedians_fit(anyarray, bytea, jsonb, double precision) IS
	'fits a K-medians model to rows, starting from a model, with options and row weights';

-- ---- fit: Gaussian mixtures ----

CREATE FUNCTION gmm_fit_transition(internal, anyarray, integer) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_gmm_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gmm_fit_transition(internal, anyarray, integer) IS
	'collects a row for gmm_fit';

CREATE AGGREGATE gmm_fit(x anyarray, k integer) (
	SFUNC = gmm_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE gmm_fit(anyarray, integer) IS
	'fits a Gaussian mixture to rows, starting from k components';

CREATE FUNCTION gmm_fit_transition(internal, anyarray, integer, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_gmm_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gmm_fit_transition(internal, anyarray, integer, jsonb) IS
	'collects a row for gmm_fit';

CREATE AGGREGATE gmm_fit(x anyarray, k integer, options jsonb) (
	SFUNC = gmm_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE gmm_fit(anyarray, integer, jsonb) IS
	'fits a Gaussian mixture to rows, starting from k components, with options';

CREATE FUNCTION gmm_fit_transition(internal, anyarray, integer, jsonb, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_gmm_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gmm_fit_transition(internal, anyarray, integer, jsonb, double precision) IS
	'collects a row for gmm_fit';

CREATE AGGREGATE gmm_fit(x anyarray, k integer, options jsonb, weight double precision) (
	SFUNC = gmm_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE gmm_fit(anyarray, integer, jsonb, double precision) IS
	'fits a Gaussian mixture to rows, starting from k components, with options and row weights';

CREATE FUNCTION gmm_fit_transition(internal, anyarray, bytea) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_gmm_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gmm_fit_transition(internal, anyarray, bytea) IS
	'collects a row for gmm_fit';

CREATE AGGREGATE gmm_fit(x anyarray, start bytea) (
	SFUNC = gmm_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE gmm_fit(anyarray, bytea) IS
	'fits a Gaussian mixture to rows, starting from a model';

CREATE FUNCTION gmm_fit_transition(internal, anyarray, bytea, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_gmm_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gmm_fit_transition(internal, anyarray, bytea, jsonb) IS
	'collects a row for gmm_fit';

CREATE AGGREGATE gmm_fit(x anyarray, start bytea, options jsonb) (
	SFUNC = gmm_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE gmm_fit(anyarray, bytea, jsonb) IS
	'fits a Gaussian mixture to rows, starting from a model, with options';

CREATE FUNCTION gmm_fit_transition(internal, anyarray, bytea, jsonb, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_gmm_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gmm_fit_transition(internal, anyarray, bytea, jsonb, double precision) IS
	'collects a row for gmm_fit';

CREATE AGGREGATE gmm_fit(x anyarray, start bytea, options jsonb, weight double precision) (
	SFUNC = gmm_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE gmm_fit(anyarray, bytea, jsonb, double precision) IS
	'fits a Gaussian mixture to rows, starting from a model, with options and row weights';

-- ---- fit: Bernoulli mixtures ----

CREATE FUNCTION bernoulli_fit_transition(internal, anyarray, integer) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_fit_transition(internal, anyarray, integer) IS
	'collects a row for bernoulli_fit';

CREATE AGGREGATE bernoulli_fit(x anyarray, k integer) (
	SFUNC = bernoulli_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE bernoulli_fit(anyarray, integer) IS
	'fits a Bernoulli mixture to rows of 0 and 1, starting from k clusters';

CREATE FUNCTION bernoulli_fit_transition(internal, anyarray, integer, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_fit_transition(internal, anyarray, integer, jsonb) IS
	'collects a row for bernoulli_fit';

CREATE AGGREGATE bernoulli_fit(x anyarray, k integer, options jsonb) (
	SFUNC = bernoulli_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE bernoulli_fit(anyarray, integer, jsonb) IS
	'fits a Bernoulli mixture to rows of 0 and 1, starting from k clusters, with options';

CREATE FUNCTION bernoulli_fit_transition(internal, anyarray, integer, jsonb, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_fit_transition(internal, anyarray, integer, jsonb, double precision) IS
	'collects a row for bernoulli_fit';

CREATE AGGREGATE bernoulli_fit(x anyarray, k integer, options jsonb, weight double precision) (
	SFUNC = bernoulli_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE bernoulli_fit(anyarray, integer, jsonb, double precision) IS
	'fits a Bernoulli mixture to rows of 0 and 1, starting from k clusters, with options and row weights';

CREATE FUNCTION bernoulli_fit_transition(internal, anyarray, bytea) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_fit_transition(internal, anyarray, bytea) IS
	'collects a row for bernoulli_fit';

CREATE AGGREGATE bernoulli_fit(x anyarray, start bytea) (
	SFUNC = bernoulli_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE bernoulli_fit(anyarray, bytea) IS
	'fits a Bernoulli mixture to rows of 0 and 1, starting from a model';

CREATE FUNCTION bernoulli_fit_transition(internal, anyarray, bytea, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_fit_transition(internal, anyarray, bytea, jsonb) IS
	'collects a row for bernoulli_fit';

CREATE AGGREGATE bernoulli_fit(x anyarray, start bytea, options jsonb) (
	SFUNC = bernoulli_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE bernoulli_fit(anyarray, bytea, jsonb) IS
	'fits a Bernoulli mixture to rows of 0 and 1, starting from a model, with options';

CREATE FUNCTION bernoulli_fit_transition(internal, anyarray, bytea, jsonb, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_fit_transition(internal, anyarray, bytea, jsonb, double precision) IS
	'collects a row for bernoulli_fit';

CREATE AGGREGATE bernoulli_fit(x anyarray, start bytea, options jsonb, weight double precision) (
	SFUNC = bernoulli_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE bernoulli_fit(anyarray, bytea, jsonb, double precision) IS
	'fits a Bernoulli mixture to rows of 0 and 1, starting from a model, with options and row weights';

CREATE FUNCTION bernoulli_fit_transition(internal, bit varying, integer) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_bits_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_fit_transition(internal, bit varying, integer) IS
	'collects a row for bernoulli_fit';

CREATE AGGREGATE bernoulli_fit(x bit varying, k integer) (
	SFUNC = bernoulli_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE bernoulli_fit(bit varying, integer) IS
	'fits a Bernoulli mixture to bit strings, starting from k clusters';

CREATE FUNCTION bernoulli_fit_transition(internal, bit varying, integer, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_bits_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_fit_transition(internal, bit varying, integer, jsonb) IS
	'collects a row for bernoulli_fit';

CREATE AGGREGATE bernoulli_fit(x bit varying, k integer, options jsonb) (
	SFUNC = bernoulli_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE bernoulli_fit(bit varying, integer, jsonb) IS
	'fits a Bernoulli mixture to bit strings, starting from k clusters, with options';

CREATE FUNCTION bernoulli_fit_transition(internal, bit varying, integer, jsonb, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_bits_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_fit_transition(internal, bit varying, integer, jsonb, double precision) IS
	'collects a row for bernoulli_fit';

CREATE AGGREGATE bernoulli_fit(x bit varying, k integer, options jsonb, weight double precision) (
	SFUNC = bernoulli_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE bernoulli_fit(bit varying, integer, jsonb, double precision) IS
	'fits a Bernoulli mixture to bit strings, starting from k clusters, with options and row weights';

CREATE FUNCTION bernoulli_fit_transition(internal, bit varying, bytea) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_bits_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_fit_transition(internal, bit varying, bytea) IS
	'collects a row for bernoulli_fit';

CREATE AGGREGATE bernoulli_fit(x bit varying, start bytea) (
	SFUNC = bernoulli_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE bernoulli_fit(bit varying, bytea) IS
	'fits a Bernoulli mixture to bit strings, starting from a model';

CREATE FUNCTION bernoulli_fit_transition(internal, bit varying, bytea, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_bits_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_fit_transition(internal, bit varying, bytea, jsonb) IS
	'collects a row for bernoulli_fit';

CREATE AGGREGATE bernoulli_fit(x bit varying, start bytea, options jsonb) (
	SFUNC = bernoulli_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE bernoulli_fit(bit varying, bytea, jsonb) IS
	'fits a Bernoulli mixture to bit strings, starting from a model, with options';

CREATE FUNCTION bernoulli_fit_transition(internal, bit varying, bytea, jsonb, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_bits_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_fit_transition(internal, bit varying, bytea, jsonb, double precision) IS
	'collects a row for bernoulli_fit';

CREATE AGGREGATE bernoulli_fit(x bit varying, start bytea, options jsonb, weight double precision) (
	SFUNC = bernoulli_fit_transition,
	STYPE = internal,
	SSPACE = 2048,
	FINALFUNC = clustering_fit_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE bernoulli_fit(bit varying, bytea, jsonb, double precision) IS
	'fits a Bernoulli mixture to bit strings, starting from a model, with options and row weights';

-- ---- options ----

CREATE FUNCTION kmeans_options(
	init text DEFAULT 'k-means++',
	n_init integer DEFAULT 1,
	max_iter integer DEFAULT 300,
	tol double precision DEFAULT 0,
	seed bigint DEFAULT 0,
	beta double precision DEFAULT NULL,
	invalid text DEFAULT 'error',
	allow_fewer boolean DEFAULT false
) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'clustering_kmeans_options'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmeans_options(text, integer, integer, double precision, bigint, double precision, text, boolean) IS
	'builds and checks the options of a K-means fit; a NULL is left out';

CREATE FUNCTION kmedians_options(
	init text DEFAULT 'k-means++',
	n_init integer DEFAULT 1,
	max_iter integer DEFAULT 300,
	tol double precision DEFAULT 0,
	seed bigint DEFAULT 0,
	invalid text DEFAULT 'error',
	allow_fewer boolean DEFAULT false
) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'clustering_kmedians_options'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION kmedians_options(text, integer, integer, double precision, bigint, text, boolean) IS
	'builds and checks the options of a K-medians fit; a NULL is left out';

CREATE FUNCTION gmm_options(
	init text DEFAULT 'k-means++',
	n_init integer DEFAULT 1,
	max_iter integer DEFAULT 300,
	tol double precision DEFAULT 1e-6,
	seed bigint DEFAULT 0,
	covariance text DEFAULT 'full',
	variance double precision DEFAULT 1,
	reg_covar double precision DEFAULT NULL,
	weights text DEFAULT 'free',
	invalid text DEFAULT 'error',
	allow_fewer boolean DEFAULT false
) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'clustering_gmm_options'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gmm_options(text, integer, integer, double precision, bigint, text, double precision, double precision, text, text, boolean) IS
	'builds and checks the options of a Gaussian mixture fit; a NULL is left out';

CREATE FUNCTION bernoulli_options(
	init text DEFAULT 'k-means++',
	n_init integer DEFAULT 1,
	max_iter integer DEFAULT 300,
	tol double precision DEFAULT 1e-6,
	seed bigint DEFAULT 0,
	weights text DEFAULT 'free',
	smoothing double precision DEFAULT 0,
	invalid text DEFAULT 'error',
	allow_fewer boolean DEFAULT false
) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_options'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_options(text, integer, integer, double precision, bigint, text, double precision, text, boolean) IS
	'builds and checks the options of a Bernoulli mixture fit; a NULL is left out';

-- ---- models made by hand ----

CREATE FUNCTION kmeans_model(centers double precision[]) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_kmeans_model'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kmeans_model(double precision[]) IS
	'makes a K-means model from its centers, an array [clusters][dimensions]';

CREATE FUNCTION kmedians_model(centers double precision[]) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_kmedians_model'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION kmedians_model(double precision[]) IS
	'makes a K-medians model from its centers, an array [clusters][dimensions]';

CREATE FUNCTION gmm_model(
	weights double precision[],
	means double precision[],
	covariances double precision[],
	covariance text DEFAULT 'full'
) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_gmm_model'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gmm_model(double precision[], double precision[], double precision[], text) IS
	'makes a Gaussian mixture from its parameters; without weights all components weigh the same';

CREATE FUNCTION bernoulli_model(
	weights double precision[],
	theta double precision[]
) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_model'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION bernoulli_model(double precision[], double precision[]) IS
	'makes a Bernoulli mixture from its parameters; without weights all components weigh the same';

-- ---- models as JSON ----

CREATE FUNCTION cluster_to_json(model bytea) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'clustering_cluster_to_json'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cluster_to_json(bytea) IS
	'all that a model contains, as JSON';

CREATE FUNCTION cluster_from_json(model jsonb) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_cluster_from_json'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cluster_from_json(jsonb) IS
	'the model that cluster_to_json has described, byte for byte';

-- ---- apply ----

CREATE FUNCTION cluster_predict(model bytea, x anyarray) RETURNS integer
	AS 'MODULE_PATHNAME', 'clustering_cluster_predict'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_predict(bytea, anyarray) IS
	'the cluster of a point, 1..k';

CREATE FUNCTION cluster_probabilities(model bytea, x anyarray) RETURNS double precision[]
	AS 'MODULE_PATHNAME', 'clustering_cluster_probabilities'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_probabilities(bytea, anyarray) IS
	'the probability of each cluster, given the point';

CREATE FUNCTION cluster_distance(model bytea, x anyarray) RETURNS double precision
	AS 'MODULE_PATHNAME', 'clustering_cluster_distance'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_distance(bytea, anyarray) IS
	'the distance of a point from the cluster that it is assigned to';

CREATE FUNCTION cluster_distances(model bytea, x anyarray) RETURNS double precision[]
	AS 'MODULE_PATHNAME', 'clustering_cluster_distances'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_distances(bytea, anyarray) IS
	'the distance of a point from every cluster';

CREATE FUNCTION cluster_center(model bytea, x anyarray) RETURNS double precision[]
	AS 'MODULE_PATHNAME', 'clustering_cluster_center'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_center(bytea, anyarray) IS
	'the centre of the cluster that a point is assigned to';

CREATE FUNCTION cluster_log_density(model bytea, x anyarray) RETURNS double precision
	AS 'MODULE_PATHNAME', 'clustering_cluster_log_density'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_log_density(bytea, anyarray) IS
	'the logarithm of the density of a mixture at a point';

-- The same for bit strings, with models of bernoulli_fit.

CREATE FUNCTION cluster_predict(model bytea, x bit varying) RETURNS integer
	AS 'MODULE_PATHNAME', 'clustering_cluster_predict_bits'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_predict(bytea, bit varying) IS
	'the cluster of a bit string, 1..k';

CREATE FUNCTION cluster_probabilities(model bytea, x bit varying) RETURNS double precision[]
	AS 'MODULE_PATHNAME', 'clustering_cluster_probabilities_bits'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_probabilities(bytea, bit varying) IS
	'the probability of each cluster, given the bit string';

CREATE FUNCTION cluster_distance(model bytea, x bit varying) RETURNS double precision
	AS 'MODULE_PATHNAME', 'clustering_cluster_distance_bits'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_distance(bytea, bit varying) IS
	'the expected Hamming distance of a bit string from the cluster that it is assigned to';

CREATE FUNCTION cluster_distances(model bytea, x bit varying) RETURNS double precision[]
	AS 'MODULE_PATHNAME', 'clustering_cluster_distances_bits'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_distances(bytea, bit varying) IS
	'the expected Hamming distance of a bit string from every cluster';

CREATE FUNCTION cluster_center(model bytea, x bit varying) RETURNS double precision[]
	AS 'MODULE_PATHNAME', 'clustering_cluster_center_bits'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_center(bytea, bit varying) IS
	'the thetas of the cluster that a bit string is assigned to';

CREATE FUNCTION cluster_log_density(model bytea, x bit varying) RETURNS double precision
	AS 'MODULE_PATHNAME', 'clustering_cluster_log_density_bits'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_log_density(bytea, bit varying) IS
	'the logarithm of the probability of a bit string';

-- ---- look inside ----

CREATE FUNCTION cluster_info(
	model bytea,
	OUT algorithm text,
	OUT k integer,
	OUT dimensions integer,
	OUT rows bigint,
	OUT skipped bigint,
	OUT total_weight double precision,
	OUT iterations bigint,
	OUT converged boolean,
	OUT objective double precision,
	OUT log_likelihood double precision,
	OUT aic double precision,
	OUT bic double precision,
	OUT parameters bigint,
	OUT seed bigint,
	OUT options jsonb,
	OUT format integer) RETURNS record
	AS 'MODULE_PATHNAME', 'clustering_cluster_info'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_info(bytea) IS
	'what a model is and how its fit went';

CREATE FUNCTION cluster_components(
	model bytea,
	OUT cluster integer,
	OUT weight double precision,
	OUT size double precision,
	OUT center double precision[],
	OUT covariance double precision[],
	OUT objective double precision) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'clustering_cluster_components'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION cluster_components(bytea) IS
	'the clusters of a model, a row each';

CREATE FUNCTION cluster_trace(
	model bytea,
	OUT run integer,
	OUT iteration integer,
	OUT objective double precision,
	OUT changed bigint) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'clustering_cluster_trace'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE ROWS 50;
COMMENT ON FUNCTION cluster_trace(bytea) IS
	'the fit of a model as it went, iteration by iteration';

-- ---- mixtures as distributions ----

CREATE FUNCTION cluster_mean(model bytea) RETURNS double precision[]
	AS 'MODULE_PATHNAME', 'clustering_cluster_mean'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_mean(bytea) IS
	'the mean of a mixture distribution';

CREATE FUNCTION cluster_covariance(model bytea) RETURNS double precision[]
	AS 'MODULE_PATHNAME', 'clustering_cluster_covariance'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_covariance(bytea) IS
	'the covariance matrix of a mixture distribution';

CREATE FUNCTION cluster_sample(
	model bytea,
	n integer,
	seed bigint,
	OUT cluster integer,
	OUT x double precision[]) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'clustering_cluster_sample'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_sample(bytea, integer, bigint) IS
	'draws points from a mixture distribution: the same points for the same seed, everywhere';

CREATE FUNCTION gmm_add(a bytea, b bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_gmm_add'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gmm_add(bytea, bytea) IS
	'the distribution of the sum of independent draws from two Gaussian mixtures';

CREATE FUNCTION gmm_marginal(model bytea, dims integer[]) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_gmm_marginal'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gmm_marginal(bytea, integer[]) IS
	'the distribution of some dimensions of a Gaussian mixture';

CREATE FUNCTION gmm_condition(model bytea, dims integer[], given double precision[]) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_gmm_condition'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gmm_condition(bytea, integer[], double precision[]) IS
	'the distribution of the other dimensions of a Gaussian mixture, given the values of some';

CREATE FUNCTION gaussian_kl(
	mean_p double precision[],
	cov_p double precision[],
	mean_q double precision[],
	cov_q double precision[]
) RETURNS double precision
	AS 'MODULE_PATHNAME', 'clustering_gaussian_kl'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gaussian_kl(double precision[], double precision[], double precision[], double precision[]) IS
	'the Kullback-Leibler divergence of the Gaussian p from the Gaussian q, in nats';

CREATE FUNCTION gmm_kl(
	p bytea,
	q bytea,
	n integer,
	seed bigint,
	OUT kl double precision,
	OUT stderr double precision) RETURNS record
	AS 'MODULE_PATHNAME', 'clustering_gmm_kl'
	LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION gmm_kl(bytea, bytea, integer, bigint) IS
	'the Kullback-Leibler divergence of the mixture p from the mixture q, by n draws from p, and its standard error';

-- ---- steps: one refit, in pieces ----

CREATE FUNCTION cluster_step_combine(bytea, bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_step_combine'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_step_combine(bytea, bytea) IS
	'the state of a step over the rows of both states';

CREATE FUNCTION cluster_step_final(bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_step_final'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cluster_step_final(bytea) IS
	'the model that a step over the rows of a state leads to';

CREATE AGGREGATE cluster_step_merge(state bytea) (
	SFUNC = cluster_step_combine,
	STYPE = bytea,
	FINALFUNC = cluster_step_final,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step_merge(bytea) IS
	'the model that a step over the rows of all states leads to';

CREATE FUNCTION cluster_step_transition(bytea, double precision[], bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_step_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cluster_step_transition(bytea, double precision[], bytea) IS
	'adds a row to the state of a step';

CREATE AGGREGATE cluster_step(x double precision[], model bytea) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	FINALFUNC = cluster_step_final,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step(double precision[], bytea) IS
	'one refit of a model';

CREATE AGGREGATE cluster_step_partial(x double precision[], model bytea) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step_partial(double precision[], bytea) IS
	'the state of one refit of a model, to be combined with others';

CREATE FUNCTION cluster_step_transition(bytea, double precision[], bytea, double precision) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_step_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cluster_step_transition(bytea, double precision[], bytea, double precision) IS
	'adds a row to the state of a step';

CREATE AGGREGATE cluster_step(x double precision[], model bytea, weight double precision) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	FINALFUNC = cluster_step_final,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step(double precision[], bytea, double precision) IS
	'one refit of a model, with row weights';

CREATE AGGREGATE cluster_step_partial(x double precision[], model bytea, weight double precision) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step_partial(double precision[], bytea, double precision) IS
	'the state of one refit of a model, to be combined with others, with row weights';

CREATE FUNCTION cluster_step_transition(bytea, real[], bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_step_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cluster_step_transition(bytea, real[], bytea) IS
	'adds a row to the state of a step';

CREATE AGGREGATE cluster_step(x real[], model bytea) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	FINALFUNC = cluster_step_final,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step(real[], bytea) IS
	'one refit of a model';

CREATE AGGREGATE cluster_step_partial(x real[], model bytea) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step_partial(real[], bytea) IS
	'the state of one refit of a model, to be combined with others';

CREATE FUNCTION cluster_step_transition(bytea, real[], bytea, double precision) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_step_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cluster_step_transition(bytea, real[], bytea, double precision) IS
	'adds a row to the state of a step';

CREATE AGGREGATE cluster_step(x real[], model bytea, weight double precision) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	FINALFUNC = cluster_step_final,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step(real[], bytea, double precision) IS
	'one refit of a model, with row weights';

CREATE AGGREGATE cluster_step_partial(x real[], model bytea, weight double precision) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step_partial(real[], bytea, double precision) IS
	'the state of one refit of a model, to be combined with others, with row weights';

CREATE FUNCTION cluster_step_transition(bytea, boolean[], bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_step_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cluster_step_transition(bytea, boolean[], bytea) IS
	'adds a row to the state of a step';

CREATE AGGREGATE cluster_step(x boolean[], model bytea) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	FINALFUNC = cluster_step_final,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step(boolean[], bytea) IS
	'one refit of a model';

CREATE AGGREGATE cluster_step_partial(x boolean[], model bytea) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step_partial(boolean[], bytea) IS
	'the state of one refit of a model, to be combined with others';

CREATE FUNCTION cluster_step_transition(bytea, boolean[], bytea, double precision) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_step_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cluster_step_transition(bytea, boolean[], bytea, double precision) IS
	'adds a row to the state of a step';

CREATE AGGREGATE cluster_step(x boolean[], model bytea, weight double precision) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	FINALFUNC = cluster_step_final,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step(boolean[], bytea, double precision) IS
	'one refit of a model, with row weights';

CREATE AGGREGATE cluster_step_partial(x boolean[], model bytea, weight double precision) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step_partial(boolean[], bytea, double precision) IS
	'the state of one refit of a model, to be combined with others, with row weights';

CREATE FUNCTION cluster_step_transition(bytea, bit varying, bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_step_bits_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cluster_step_transition(bytea, bit varying, bytea) IS
	'adds a row to the state of a step';

CREATE AGGREGATE cluster_step(x bit varying, model bytea) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	FINALFUNC = cluster_step_final,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step(bit varying, bytea) IS
	'one refit of a model';

CREATE AGGREGATE cluster_step_partial(x bit varying, model bytea) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step_partial(bit varying, bytea) IS
	'the state of one refit of a model, to be combined with others';

CREATE FUNCTION cluster_step_transition(bytea, bit varying, bytea, double precision) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_step_bits_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cluster_step_transition(bytea, bit varying, bytea, double precision) IS
	'adds a row to the state of a step';

CREATE AGGREGATE cluster_step(x bit varying, model bytea, weight double precision) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	FINALFUNC = cluster_step_final,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step(bit varying, bytea, double precision) IS
	'one refit of a model, with row weights';

CREATE AGGREGATE cluster_step_partial(x bit varying, model bytea, weight double precision) (
	SFUNC = cluster_step_transition,
	STYPE = bytea,
	SSPACE = 8192,
	COMBINEFUNC = cluster_step_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_step_partial(bit varying, bytea, double precision) IS
	'the state of one refit of a model, to be combined with others, with row weights';

-- ---- fits over a query ----

CREATE FUNCTION cluster_sketch_combine(bytea, bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_sketch_combine'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION cluster_sketch_combine(bytea, bytea) IS
	'the sample of the rows of both samples';

CREATE FUNCTION cluster_sketch_rows(
	sketch bytea,
	OUT x double precision[],
	OUT weight double precision) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'clustering_sketch_rows'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 20000;
COMMENT ON FUNCTION cluster_sketch_rows(bytea) IS
	'the rows of a sample, with their weights';

CREATE FUNCTION cluster_sketch_transition(bytea, double precision[], bytea, integer, bigint, integer, double precision) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_sketch_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cluster_sketch_transition(bytea, double precision[], bytea, integer, bigint, integer, double precision) IS
	'adds a row to a sample';

CREATE AGGREGATE cluster_sketch(x double precision[], model bytea, n integer, seed bigint, flags integer, weight double precision) (
	SFUNC = cluster_sketch_transition,
	STYPE = bytea,
	SSPACE = 1000000,
	COMBINEFUNC = cluster_sketch_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_sketch(double precision[], bytea, integer, bigint, integer, double precision) IS
	'a sample of distinct rows, drawn by their distance from the clusters of a model, or uniformly without one';

CREATE FUNCTION cluster_sketch_transition(bytea, real[], bytea, integer, bigint, integer, double precision) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_sketch_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cluster_sketch_transition(bytea, real[], bytea, integer, bigint, integer, double precision) IS
	'adds a row to a sample';

CREATE AGGREGATE cluster_sketch(x real[], model bytea, n integer, seed bigint, flags integer, weight double precision) (
	SFUNC = cluster_sketch_transition,
	STYPE = bytea,
	SSPACE = 1000000,
	COMBINEFUNC = cluster_sketch_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_sketch(real[], bytea, integer, bigint, integer, double precision) IS
	'a sample of distinct rows, drawn by their distance from the clusters of a model, or uniformly without one';

CREATE FUNCTION cluster_sketch_transition(bytea, boolean[], bytea, integer, bigint, integer, double precision) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_sketch_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cluster_sketch_transition(bytea, boolean[], bytea, integer, bigint, integer, double precision) IS
	'adds a row to a sample';

CREATE AGGREGATE cluster_sketch(x boolean[], model bytea, n integer, seed bigint, flags integer, weight double precision) (
	SFUNC = cluster_sketch_transition,
	STYPE = bytea,
	SSPACE = 1000000,
	COMBINEFUNC = cluster_sketch_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_sketch(boolean[], bytea, integer, bigint, integer, double precision) IS
	'a sample of distinct rows, drawn by their distance from the clusters of a model, or uniformly without one';

CREATE FUNCTION cluster_sketch_transition(bytea, bit varying, bytea, integer, bigint, integer, double precision) RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_sketch_bits_transition'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 20;
COMMENT ON FUNCTION cluster_sketch_transition(bytea, bit varying, bytea, integer, bigint, integer, double precision) IS
	'adds a row to a sample';

CREATE AGGREGATE cluster_sketch(x bit varying, model bytea, n integer, seed bigint, flags integer, weight double precision) (
	SFUNC = cluster_sketch_transition,
	STYPE = bytea,
	SSPACE = 1000000,
	COMBINEFUNC = cluster_sketch_combine,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE cluster_sketch(bit varying, bytea, integer, bigint, integer, double precision) IS
	'a sample of distinct rows, drawn by their distance from the clusters of a model, or uniformly without one';

CREATE FUNCTION kmeans_fit_query(query text, k integer, options jsonb DEFAULT '{}') RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_kmeans_fit_query'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kmeans_fit_query(text, integer, jsonb) IS
	'fits a K-means model to the rows of a query, in memory for the model only';

CREATE FUNCTION kmeans_fit_query(query text, start bytea, options jsonb DEFAULT '{}') RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_kmeans_fit_query_start'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kmeans_fit_query(text, bytea, jsonb) IS
	'fits a K-means model to the rows of a query, starting from a model, in memory for the model only';

CREATE FUNCTION kmedians_fit_query(query text, k integer, options jsonb DEFAULT '{}') RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_kmedians_fit_query'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kmedians_fit_query(text, integer, jsonb) IS
	'fits a K-medians model to the rows of a query, in memory for the model only';

CREATE FUNCTION kmedians_fit_query(query text, start bytea, options jsonb DEFAULT '{}') RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_kmedians_fit_query_start'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION kmedians_fit_query(text, bytea, jsonb) IS
	'fits a K-medians model to the rows of a query, starting from a model, in memory for the model only';

CREATE FUNCTION gmm_fit_query(query text, k integer, options jsonb DEFAULT '{}') RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_gmm_fit_query'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION gmm_fit_query(text, integer, jsonb) IS
	'fits a Gaussian mixture to the rows of a query, in memory for the model only';

CREATE FUNCTION gmm_fit_query(query text, start bytea, options jsonb DEFAULT '{}') RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_gmm_fit_query_start'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION gmm_fit_query(text, bytea, jsonb) IS
	'fits a Gaussian mixture to the rows of a query, starting from a model, in memory for the model only';

CREATE FUNCTION bernoulli_fit_query(query text, k integer, options jsonb DEFAULT '{}') RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_fit_query'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION bernoulli_fit_query(text, integer, jsonb) IS
	'fits a Bernoulli mixture to the rows of a query, in memory for the model only';

CREATE FUNCTION bernoulli_fit_query(query text, start bytea, options jsonb DEFAULT '{}') RETURNS bytea
	AS 'MODULE_PATHNAME', 'clustering_bernoulli_fit_query_start'
	LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION bernoulli_fit_query(text, bytea, jsonb) IS
	'fits a Bernoulli mixture to the rows of a query, starting from a model, in memory for the model only';

/* ---- compare two labellings ---- */

CREATE FUNCTION adjusted_rand_index_transition(state internal, a anyelement, b anycompatible)
RETURNS internal
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'clustering_adjusted_rand_index_transition';
COMMENT ON FUNCTION adjusted_rand_index_transition(internal, anyelement, anycompatible)
IS 'aggregate transition function: count a pair of labels';

CREATE FUNCTION adjusted_rand_index_final(state internal)
RETURNS double precision
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'clustering_adjusted_rand_index_final';
COMMENT ON FUNCTION adjusted_rand_index_final(internal)
IS 'aggregate final function: adjusted Rand index of the counted pairs';

CREATE FUNCTION normalized_mutual_information_final(state internal)
RETURNS double precision
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'clustering_normalized_mutual_information_final';
COMMENT ON FUNCTION normalized_mutual_information_final(internal)
IS 'aggregate final function: normalized mutual information of the counted pairs';

CREATE AGGREGATE adjusted_rand_index(a anyelement, b anycompatible)
(
	SFUNC = adjusted_rand_index_transition,
	STYPE = internal,
	SSPACE = 1024,
	FINALFUNC = adjusted_rand_index_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE adjusted_rand_index(anyelement, anycompatible)
IS 'agreement of two labellings of the same rows, corrected for chance: 1 if equal, about 0 if unrelated';

CREATE AGGREGATE normalized_mutual_information(a anyelement, b anycompatible)
(
	SFUNC = adjusted_rand_index_transition,
	STYPE = internal,
	SSPACE = 1024,
	FINALFUNC = normalized_mutual_information_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE normalized_mutual_information(anyelement, anycompatible)
IS 'information that two labellings of the same rows share, over the mean of their entropies, from 0 to 1';

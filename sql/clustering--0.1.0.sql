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

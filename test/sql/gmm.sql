--
-- Gaussian mixtures: fits against reference values, structures, weights, odd data, and all that works on any model.
--

-- Old Faithful (R datasets): minutes of eruption, three decimals, and of waiting; six digits a row.
CREATE TABLE faithful AS
SELECT i AS id, ARRAY[substr(d, 6 * i - 5, 4)::double precision / 1000, substr(d, 6 * i - 1, 2)::double precision] AS x
FROM (SELECT replace('
360079180054333374228362453385288355470088360085195051435085183354391784420078175047470083216752
175062480084160052425079180051175047345078306769453374360083196755408376385078443379430073446777
336766403380383374201752186748483380183359478390435080188358456784175058453373331783383364210053
463382200059480075471690183354483380173354488383371771166764456777431781223359450084175048480082
181760440092416778470078206765470073403382196756450079400071198362506776201760456778388376360083
413375433382410070263365406773493388395076451780216748400086220060433390186750481778183363430072
466784375075186751490082248362436788210049450083405081186747470084178352485086368381473375230059
490089441779170059463381231750460085181759441787261753406769425077196756460088376781191745450082
226755465090186745416783280056433389183346438382188351493386203353373379423381223360453382481777
433376198359463380201749510096180053503377400077240065460081356771400070450081408393180053396789
220045415086200058383378350066458376236763500088193352461793191749208357458377333368416781433381
450073241750400085416774188355458377425083376783203351443378408384183346441783218355480081183357
480076410084396677423381350087436677225051466778210060435082413391186753460078178346436777385084
193349450083238371470080186749383375341764423376240053480094200055415076186750426782175054448375
400078411779408378426778391770455079408370241754418386221750445090188354185054428377395079233364
415075235047493386290063458385383382208357436782213367435074220054445083356773450073415088381780
391771445083200056428379476778453384185058425083198343225060475075411781215046441790181746446774
', E'\n', '')) AS t (d), generate_series(1, 272) AS i;

-- Anderson's iris data (UCI Machine Learning Repository, CC BY 4.0), in millimetres; 50 flowers of each species.
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

-- ---- reference values: scikit-learn and mclust at tight convergence ----

CREATE FUNCTION likelihood(model bytea, digits integer) RETURNS numeric LANGUAGE sql AS
$$ SELECT round(log_likelihood::numeric, digits) FROM cluster_info(model) $$;

-- the log-likelihoods of two and three components, in all structures
SELECT covariance, likelihood(gmm_fit(x, 2, gmm_options(covariance => covariance, tol => 1e-13, max_iter => 5000)), 6) AS two,
	likelihood(gmm_fit(x, 3, gmm_options(covariance => covariance, tol => 1e-13, max_iter => 5000)), 4) >= three AS three
FROM faithful, (VALUES ('full', -1119.2140), ('tied', -1126.3159), ('diag', -1127.0075), ('spherical', -1637.4344)) AS s (covariance, three)
GROUP BY covariance, three ORDER BY covariance;

SELECT covariance, likelihood(gmm_fit(x, 3, gmm_options(covariance => covariance, tol => 1e-13, max_iter => 5000)), 4) >= three AS three
FROM iris, (VALUES ('full', -180.1855), ('tied', -256.3540), ('diag', -307.1776), ('spherical', -384.3141)) AS s (covariance, three)
GROUP BY covariance, three ORDER BY covariance;

-- BIC, AIC and the number of free parameters: 11 for two full components in two dimensions
CREATE TABLE model AS
SELECT gmm_fit(x, 2, gmm_options(tol => 1e-14, max_iter => 5000)) AS m FROM faithful;
SELECT algorithm, k, dimensions, rows, converged, round(bic::numeric, 5) AS bic, round(aic::numeric, 5) AS aic, parameters,
	objective = -log_likelihood AS negative
FROM model, cluster_info(m);

-- weights, means and covariances
CREATE FUNCTION rounded(double precision[], integer) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(round(v::numeric, $2)::text, ' ') FROM unnest($1) AS v $$;
SELECT cluster, round(weight::numeric, 6) AS weight, round(size::numeric, 3) AS size, rounded(center, 5) AS center,
	array_dims(covariance), rounded(covariance, 5) AS covariance
FROM model, cluster_components(m);

-- free parameters of each structure, with free and with uniform weights
SELECT covariance, (cluster_info(gmm_fit(x, 3, gmm_options(covariance => covariance)))).parameters AS free,
	(cluster_info(gmm_fit(x, 3, gmm_options(covariance => covariance, weights => 'uniform')))).parameters AS uniform
FROM iris, unnest(ARRAY['full', 'tied', 'diag', 'spherical', 'fixed']) AS covariance
GROUP BY covariance ORDER BY 2 DESC;

-- ---- forms of the aggregate ----

-- one iteration from a start model, by hand: densities equal at 0, so the middle point belongs to both by halves
SELECT cluster, weight, center, covariance FROM cluster_components((
	SELECT gmm_fit(ARRAY[v], gmm_model(NULL, '{{-1},{1}}', '{{1e-2}}', 'tied'), '{"max_iter": 1, "tol": 0}')
	FROM (VALUES (-1), (0), (1)) AS t (v)));

-- a start model at the optimum stays there, and keeps its numbering
SELECT bool_and(abs(a.weight - b.weight) < 1e-6) AS same, min(iterations) AS iterations
FROM model, LATERAL (SELECT gmm_fit(x, m, '{"tol": 1e-9}') AS again FROM faithful) AS r, cluster_info(again),
	cluster_components(m) AS a JOIN cluster_components(again) AS b USING (cluster);

-- the structure is the start model's; the options can't ask for another one
SELECT options ->> 'covariance' AS covariance, options ->> 'variance' AS variance
FROM (SELECT gmm_fit(x, gmm_model(NULL, '{{2,54},{4,80}}', '{9}', 'fixed'), gmm_options(tol => 1e-3)) AS f FROM faithful) AS r, cluster_info(f);
SELECT gmm_fit(x, gmm_model(NULL, '{{2,54},{4,80}}', '{9}', 'fixed'), '{"covariance": "diag"}') FROM faithful;
SELECT gmm_fit(x, kmeans_model('{{2,54},{4,80}}')) FROM faithful;

-- weights are counts: two times each row is each row with weight 2, and other orders give the same bytes
SELECT (SELECT gmm_fit(x, 2, '{}', 2) FROM faithful)
	= (SELECT gmm_fit(x, 2 ORDER BY random()) FROM (TABLE faithful UNION ALL TABLE faithful) AS t) AS same;
SELECT gmm_fit(x, 2) = (SELECT gmm_fit(x, 2 ORDER BY id DESC) FROM faithful) AS same FROM faithful;

-- real and double precision arrays of the same values give the same model
SELECT gmm_fit(x::real[], 2) = gmm_fit(x::real[]::float8[], 2) AS same FROM faithful;

-- as a window function
SELECT count(DISTINCT c) AS labels FROM (SELECT cluster_predict(gmm_fit(x, 2) OVER (), x) AS c FROM faithful) AS t;

-- no rows, no model; a group for each value
SELECT gmm_fit(x, 2) IS NULL AS nothing FROM faithful WHERE false;
SELECT id % 3 AS part, k, rows FROM (SELECT id % 3 AS id, gmm_fit(x, 2) AS f FROM faithful GROUP BY 1) AS g, cluster_info(f) ORDER BY 1;

-- ---- the iterations ----

-- max_iter stops a fit, which says so
SELECT iterations, converged FROM cluster_info((SELECT gmm_fit(x, 3, '{"max_iter": 5, "tol": 0}') FROM faithful));

-- the negative log-likelihood never rises, and ends at that of the model
SELECT bool_and(objective <= before) AS falls, abs(min(objective) - min(final)) < 1e-9 AS last
FROM (SELECT t.objective, lag(t.objective) OVER (ORDER BY iteration) AS before, i.objective AS final
	FROM (SELECT gmm_fit(x, 3, gmm_options(init => 'random', tol => 1e-9, max_iter => 2000)) AS f FROM faithful) AS r,
		cluster_trace(f) AS t, cluster_info(f) AS i) AS s;

-- ---- numerics ----

-- one component has the mean and the covariance of its rows
SELECT bool_and(abs(a - b) < 1e-11) AS same
FROM (SELECT (cluster_components(gmm_fit(x, 1))).* FROM faithful) AS c,
	LATERAL (SELECT ARRAY[avg(x[1]), avg(x[2]), var_pop(x[1]), covar_pop(x[1], x[2]), covar_pop(x[1], x[2]), var_pop(x[2])] AS e FROM faithful) AS r,
	unnest(center || ARRAY(SELECT unnest(covariance)), e) AS t (a, b);

-- columns times powers of two: the same labels, and the model scales exactly
SELECT bool_and(cluster_predict(a, x) = cluster_predict(b, ARRAY[x[1] * 2 ^ 30, x[2] / 2 ^ 20])) AS labels,
	bool_and(s.same) AS parameters
FROM faithful, (SELECT gmm_fit(x, 3) AS a, gmm_fit(ARRAY[x[1] * 2 ^ 30, x[2] / 2 ^ 20], 3) AS b FROM faithful) AS m,
	LATERAL (SELECT bool_and(c.center[1] * 2 ^ 30 = d.center[1] AND c.covariance[1][2] * 2 ^ 10 = d.covariance[1][2]) AS same
		FROM cluster_components(a) AS c JOIN cluster_components(b) AS d USING (cluster)) AS s;

-- an offset of 1e9 changes no covariance
SELECT bool_and(abs(c.covariance[1][1] - d.covariance[1][1]) < 1e-6) AS same
FROM (SELECT gmm_fit(x, 2, gmm_options(tol => 1e-12)) AS a, gmm_fit(ARRAY[x[1] + 1e9, x[2] - 1e9], 2, gmm_options(tol => 1e-12)) AS b FROM faithful) AS m,
	cluster_components(a) AS c JOIN cluster_components(b) AS d USING (cluster);

-- a constant column and a sum of columns: finite likelihoods, labels as without them
SELECT adjusted_rand_index(cluster_predict(a, ARRAY[x[1], x[2], 7, x[1] + x[2]]), cluster_predict(b, x)) > 0.95 AS same, min(likelihood(a, 0)) > 0 AS finite
FROM faithful, (SELECT gmm_fit(ARRAY[x[1], x[2], 7, x[1] + x[2]], 2) AS a, gmm_fit(x, 2) AS b FROM faithful) AS m;

-- n components on n points are usable: each point has its own
SELECT count(DISTINCT cluster_predict(f, ARRAY[v, v * v])) AS labels, bool_and(cluster_log_density(f, ARRAY[v, v * v]) > 0) AS dense
FROM generate_series(1, 6) AS v, (SELECT gmm_fit(ARRAY[v, v * v], 6) AS f FROM generate_series(1, 6) AS v) AS m;

-- no component collapses on rows that are equal
SELECT min(covariance[1][1] * covariance[2][2] - covariance[1][2] ^ 2) > 1e-3 AS sound
FROM cluster_components((SELECT gmm_fit(x, 3) FROM (TABLE faithful UNION ALL SELECT 0, '{4.1,81}' FROM generate_series(1, 8)) AS t));

-- a known variance that goes to 0 gives the labels of K-means
SELECT adjusted_rand_index(cluster_predict(h, x), cluster_predict(s, x)) AS index
FROM iris, (SELECT kmeans_fit(x, 3) AS h FROM iris) AS a,
	(SELECT gmm_fit(x, 3, gmm_options(covariance => 'fixed', variance => 1e-6)) AS s FROM iris) AS b;

-- an explicit reg_covar is added to the variances
SELECT round(covariance[1][1]::numeric - 1.25, 12) AS added
FROM cluster_components((SELECT gmm_fit(ARRAY[v], 1, '{"reg_covar": 0.5}') FROM generate_series(1, 4) AS v));

-- then the likelihood may fall on the way, which isn't the end: in memory, over a query and by steps as in scikit-learn
CREATE TABLE ridge AS
SELECT covariance, options, gmm_model(NULL, ARRAY(SELECT x FROM iris WHERE id IN (1, 51, 101) ORDER BY id), s::double precision[], covariance) AS start
FROM (VALUES ('full', '{{{1,0,0,0},{0,1,0,0},{0,0,1,0},{0,0,0,1}},{{1,0,0,0},{0,1,0,0},{0,0,1,0},{0,0,0,1}},{{1,0,0,0},{0,1,0,0},{0,0,1,0},{0,0,0,1}}}', '{"reg_covar": 1}'::jsonb),
	('diag', '{{1,1,1,1},{1,1,1,1},{1,1,1,1}}', '{"reg_covar": 1}'),
	('spherical', '{1,1,1}', '{"reg_covar": 0.5}')) AS v (covariance, s, options);
CREATE FUNCTION step_until_converged(model bytea) RETURNS bytea LANGUAGE plpgsql AS
$$ BEGIN
	WHILE NOT (SELECT converged FROM cluster_info(model)) LOOP
		SELECT cluster_step(x, model) INTO model FROM iris;
	END LOOP;
	RETURN model;
END $$;
SELECT r.covariance, way, iterations, round(log_likelihood::numeric, 6) AS likelihood, rounded(center, 6) AS center
FROM ridge AS r, LATERAL (VALUES ('memory', (SELECT gmm_fit(x, start, options) FROM iris)), ('query', gmm_fit_query('SELECT x FROM iris', start, options)),
	('steps', step_until_converged((SELECT gmm_fit(x, start, options || '{"max_iter": 1}') FROM iris)))) AS f (way, m),
	cluster_info(m), cluster_components(m) WHERE cluster = 2 ORDER BY r.covariance, way;
SELECT r.covariance, abs(likelihood(gmm_fit(x, 3, options), 6) - likelihood(gmm_fit(x, 3, options || '{"tol": 0, "max_iter": 2000}'), 6)) < 0.01 AS settled
FROM ridge AS r, iris GROUP BY r.covariance, options ORDER BY r.covariance;

-- ---- apply ----

-- responsibilities sum to one, also far out where every density underflows
SELECT p, abs(s - 1) < 1e-15 AS one, cluster_predict(m, p) AS label, cluster_log_density(m, p) > '-Infinity' AS finite
FROM model, (VALUES ('{3,65}'::float8[]), ('{-1000,1e5}'), ('{1e100,-1e100}')) AS t (p),
	LATERAL (SELECT sum(r) AS s FROM unnest(cluster_probabilities(m, p)) AS r) AS u;

-- the density of the standard normal distribution in two dimensions; distances are Mahalanobis
SELECT cluster_log_density(m, ARRAY[0, 0]) + ln(2 * pi()) < 1e-15 AS density, cluster_distances(m, ARRAY[3, 4]), cluster_distance(m, ARRAY[3, 4]), cluster_center(m, ARRAY[3, 4])
FROM (SELECT gmm_model(NULL, '{{0,0}}', '{1}', 'spherical') AS m) AS t;
SELECT cluster_distances(gmm_model(NULL, '{{0,0},{1,0}}', '{{4,1},{1,0.25}}', 'diag'), ARRAY[3, 4]);

-- outliers: the rows whose density lies below a quantile of all
SELECT count(*) FROM (SELECT cluster_log_density(m, x) AS d FROM faithful, model) AS t
WHERE d < (SELECT percentile_cont(0.05) WITHIN GROUP (ORDER BY cluster_log_density(m, x)) FROM faithful, model);

-- ---- errors ----

SELECT gmm_fit(x, 2, '{"covariance": "round"}') FROM faithful;
SELECT gmm_fit(x, 2, '{"reg_covar": -1}') FROM faithful;
SELECT gmm_fit(x, 2, '{"beta": 1}') FROM faithful;
SELECT gmm_fit('{1,2}'::float8[], 2);
SELECT (cluster_info(gmm_fit('{1,2}'::float8[], 2, '{"allow_fewer": true}'))).k;
SELECT gmm_fit(ARRAY[v * 1e200, v], 1) FROM generate_series(1, 9) AS v;

DROP TABLE faithful, iris, model, ridge;
DROP FUNCTION likelihood, rounded, step_until_converged;

-- Groups in a line are found, though a third column varies more than the others within them.
SELECT bool_and(abs(size - 2000) < 1)
FROM (SELECT gmm_fit(ARRAY[i % 3 * 8 + a, i % 3 * 4 + b, a * b], 3) AS m
      FROM (SELECT i, 1 + sin(i) AS a, 1 + cos(i * 1.7) AS b FROM generate_series(1, 6000) i) s) f,
     cluster_components(m);

-- a start model that double precision can't hold in the units of the points, and points too far from one another for a sum
SELECT gmm_fit(ARRAY[x], gmm_model('{0.5,0.5}', '{{-3},{4}}', '{{1},{1.6e308}}', 'diag')) FROM (VALUES (-3.44), (-3.441)) AS v (x);
SELECT gmm_fit(ARRAY[x], gmm_model('{0.5,0.5}', '{{-3},{4}}', '{{1},{1e-300}}', 'diag')) FROM (VALUES (-3e100::float8), (-4e100)) AS v (x);
SELECT cluster_step(ARRAY[x], gmm_model(NULL, '{{0},{1}}', '{1}', 'fixed')) FROM (VALUES (1.0::float8), (1e300), (1.7e308)) AS v (x);

-- Small clusters far from large ones are found, though they make up most of a column's variance.
SELECT f.covariance, count(*) FILTER (WHERE abs(size - 100) < 1) AS small, count(*) FILTER (WHERE abs(size - 2000) < 50) AS large
FROM (SELECT covariance, gmm_fit(ARRAY[a + s * r * cos(t), b + s * r * sin(t)], 8, gmm_options(covariance => covariance)) AS m
      FROM (VALUES (2, 4, 2000, 0.5), (5, 4, 2000, 0.5), (3.5, 2, 2000, 0.5), (20, 1, 100, 0.35), (20, 4, 100, 0.35), (20, 7, 100, 0.35),
	(23, 3, 100, 0.35), (23, 6, 100, 0.35)) AS v (a, b, n, s), LATERAL (SELECT sqrt(-2 * ln((i - 0.5) / n)) AS r, i * 2.4 AS t FROM generate_series(1, n) AS i) AS g,
	unnest(ARRAY['full', 'tied', 'diag']) AS covariance GROUP BY covariance) f,
     cluster_components(m) GROUP BY f.covariance ORDER BY f.covariance;

-- demo.sql: the main job, on real rows: fit, look, label, apply.  `make demo` has loaded the data.
\pset footer off
\pset border 1

\echo
\echo '== 1. 20,000 images of letters, 16 numbers each (table "letter"). Fit 26 clusters, keep the model in a table.'
\echo
\echo '   CREATE TABLE models AS SELECT ''letters'' AS name, kmeans_fit(x, 26) AS model FROM letter;'
\timing on
CREATE TABLE models AS SELECT 'letters' AS name, kmeans_fit(x, 26) AS model FROM letter;
\timing off

\echo
\echo '== 2. What came out?'
\echo
\echo '   SELECT algorithm, k, dimensions, rows, iterations, converged, round(objective) FROM models, cluster_info(model);'
\echo
SELECT algorithm, k, dimensions, rows, iterations, converged, round(objective) AS objective
FROM models, cluster_info(model);

\echo '   SELECT cluster, size, round(weight ...), center FROM models, cluster_components(model) LIMIT 5;'
\echo
SELECT cluster, size, round(weight::numeric, 3) AS weight,
       (SELECT array_agg(round(c::numeric, 1)) FROM unnest(center) c) AS center
FROM models, cluster_components(model)
LIMIT 5;

\echo '== 3. Label the rows, in one statement with the fit if you like (OVER ()), and count.'
\echo
\echo '   SELECT cluster, count(*) FROM (SELECT cluster_predict(kmeans_fit(x, 3) OVER (), x) AS cluster FROM iris) s GROUP BY 1;'
\echo
SELECT cluster, count(*)
FROM (SELECT cluster_predict(kmeans_fit(x, 3) OVER (), x) AS cluster FROM iris) s
GROUP BY cluster
ORDER BY cluster;

\echo '== 4. Apply the stored model to new rows.'
\echo
SELECT cluster_predict(model, p.x) AS cluster,
       round(cluster_distance(model, p.x)::numeric, 3) AS distance
FROM models, (VALUES (ARRAY[2, 8, 3, 5, 1, 8, 13, 0, 6, 6, 10, 8, 0, 8, 0, 8]),
                     (ARRAY[5, 12, 3, 7, 2, 10, 5, 5, 4, 13, 3, 9, 2, 8, 4, 10])) p(x);

\echo '== 5. One model per group: 100,000 points in 6 groups, each with a fit of its own.'
\echo
SELECT part, (info).k, (info).rows, (info).iterations, (info).converged
FROM (SELECT id % 6 AS part, cluster_info(kmeans_fit(x, 5)) AS info FROM birch1 GROUP BY 1) s
ORDER BY part;

\echo '== 6. Outliers: the three eruptions of Old Faithful that a mixture of two normal distributions finds least likely.'
\echo
\echo '   SELECT x, cluster_log_density(gmm_fit(x, 2) OVER (), x) FROM faithful ORDER BY 2 LIMIT 3;'
\echo
SELECT x AS "eruption, waiting (minutes)", round(log_density::numeric, 2) AS log_density
FROM (SELECT x, cluster_log_density(gmm_fit(x, 2) OVER (), x) AS log_density FROM faithful) s
ORDER BY log_density
LIMIT 3;

\echo '== 7. 3,000 images of handwritten digits, 784 bits each: what the ten components of a Bernoulli mixture look like.'
\echo
\echo '   SELECT bernoulli_fit(x, 10) FROM digits;'
\timing on
SELECT bernoulli_fit(x, 10) AS drawn FROM digits \gset
\timing off
\pset tuples_only on
SELECT string_agg(line, ' ' ORDER BY cluster)
FROM (SELECT cluster, row,
             string_agg(substr(' .:+#@', least(1 + floor(6 * theta)::integer, 6), 1), '' ORDER BY col) AS line
      FROM (SELECT cluster, (i - 1) / 56 AS row, (i - 1) % 28 AS col, avg(t) AS theta
            FROM cluster_components(:'drawn'::bytea), unnest(center) WITH ORDINALITY AS u(t, i)
            GROUP BY 1, 2, 3) AS pixel
      GROUP BY 1, 2) AS line
GROUP BY (cluster - 1) / 5, row
ORDER BY (cluster - 1) / 5, row;
\pset tuples_only off
\echo '   How well do they agree with the digits that were written? (1: entirely, 0: as by chance)'
\echo
SELECT round(adjusted_rand_index(cluster_predict(:'drawn'::bytea, d.x), l.x)::numeric, 2) AS adjusted_rand_index
FROM digits d JOIN digits_labels l USING (id);

\echo '== 8. A picture: 5,000 points in 15 clusters, written as clusters.svg (open it in a browser).'
\echo
SELECT kmeans_fit(x, 15) AS m FROM s1 \gset
\set QUIET on
\pset format unaligned
\pset tuples_only on
\o clusters.svg
SELECT '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 1000" width="800" height="800">'
       '<rect width="1000" height="1000" fill="white"/>';
SELECT format('<circle cx="%s" cy="%s" r="2.5" fill="hsl(%s,70%%,50%%)"/>',
              round(x[1] / 1000), round(1000 - x[2] / 1000),
              cluster_predict(:'m'::bytea, x) * 137 % 360)
FROM s1;
SELECT format('<circle cx="%s" cy="%s" r="9" fill="none" stroke="black" stroke-width="3"/>',
              round(center[1] / 1000), round(1000 - center[2] / 1000))
FROM cluster_components(:'m'::bytea);
SELECT '</svg>';
\o
\pset tuples_only off

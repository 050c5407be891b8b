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

\echo '== 6. How well do clusters agree with what is known?  Digits, by the number of pixels set in each of 28 rows.'
\echo
WITH rows AS (
    SELECT id, (SELECT array_agg(bit_count(substring(x, 28 * r + 1, 28)) ORDER BY r)
                FROM generate_series(0, 27) r) AS x
    FROM digits
)
SELECT round(adjusted_rand_index(cluster, digit)::numeric, 2) AS adjusted_rand_index,
       round(normalized_mutual_information(cluster, digit)::numeric, 2) AS mutual_information
FROM (SELECT cluster_predict(kmeans_fit(r.x, 10) OVER (), r.x) AS cluster, l.x AS digit
      FROM rows r JOIN digits_labels l USING (id)) s(cluster, digit);

\echo '== 7. A picture: 5,000 points in 15 clusters, written as clusters.svg (open it in a browser).'
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

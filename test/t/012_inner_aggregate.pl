# Steps inside another aggregate, as Citus has them in the shards of a table: the transition function
# is looked up anew for each row.  The model is the same, and not decoded for each row either.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $library = "$PostgreSQL::Test::Utils::tmp_check/inner_aggregate.so";
my $headers = `$ENV{PG_CONFIG} --includedir-server`;
chomp $headers;
system_or_bail($ENV{CC} || 'gcc', '-shared', '-fPIC', '-O1', "-I$headers", '-o', $library, 'test/module/inner_aggregate.c');

my $node = PostgreSQL::Test::Cluster->new('inner');
$node->init;
$node->start;
$node->safe_psql('postgres', <<"END");
CREATE EXTENSION clustering;
CREATE FUNCTION inner_transition(internal, regprocedure, double precision[], bytea) RETURNS internal LANGUAGE c AS '$library';
CREATE FUNCTION inner_final(internal) RETURNS bytea LANGUAGE c AS '$library';
CREATE AGGREGATE inner_state(regprocedure, double precision[], bytea) (SFUNC = inner_transition, STYPE = internal, FINALFUNC = inner_final);
CREATE FUNCTION step() RETURNS regprocedure LANGUAGE sql IMMUTABLE AS
	\$\$ SELECT 'cluster_step_transition(bytea, double precision[], bytea)'::regprocedure \$\$;
CREATE TABLE points AS
SELECT i AS id, i % 10 AS part, ARRAY[i * 7919 % 10007 / 100.0, i * 104729 % 1299709 / 1e4, i % 13]::double precision[] AS x
FROM generate_series(1, 5000::bigint) AS i;
CREATE TABLE models AS
SELECT 'kmeans' AS name, kmeans_model(array_agg(x)) AS m FROM points WHERE id <= 20
UNION ALL SELECT 'kmedians', kmedians_model(array_agg(x)) FROM points WHERE id <= 20
UNION ALL SELECT 'gmm', gmm_fit(x, 4, '{"tol": 1e-3}') FROM points WHERE id <= 500;
CREATE TABLE wide AS
SELECT i AS id, ARRAY(SELECT (i * 7919 + j * 104729) % 1009 FROM generate_series(1, 60) AS j)::double precision[] AS x
FROM generate_series(1, 2000) AS i;
CREATE TABLE wide_model AS SELECT kmeans_model(array_agg(x)) AS m FROM wide WHERE id <= 300;
ANALYZE;
END

my $inner = 'cluster_step_final(inner_state(step(), x, m))';

is($node->safe_psql('postgres', "SELECT name, $inner = cluster_step(x, m) FROM points, models GROUP BY name, m ORDER BY name"),
	"gmm|t\nkmeans|t\nkmedians|t", 'all rows');

for my $hashed ('on', 'off')
{
	my $plan = "SET enable_hashagg = $hashed; SET enable_sort = " . ($hashed eq 'on' ? 'off' : 'on') . ';';

	is($node->safe_psql('postgres', <<"END"), '30|t', "groups, hashed $hashed");
$plan
SELECT count(*), bool_and(a = b)
FROM (SELECT part, $inner AS a, cluster_step(x, m) AS b FROM points, models GROUP BY part, name, m) AS s
END
}

is($node->safe_psql('postgres', <<"END"), 't|t', 'two models side by side');
SELECT cluster_step_final(inner_state(step(), x, a.m)) = cluster_step(x, a.m),
	cluster_step_final(inner_state(step(), x, b.m)) = cluster_step(x, b.m)
FROM points, models AS a, models AS b WHERE a.name = 'kmeans' AND b.name = 'gmm'
END

my ($status, $stdout) = $node->psql('postgres', <<"END", on_error_stop => 0);
SELECT $inner FROM (SELECT CASE WHEN id = 3000 THEN '{1,2}' ELSE x END AS x FROM points) AS p, models;
SELECT $inner = cluster_step(x, m) FROM points, models WHERE name = 'kmeans';
END
is($stdout, 't', 'again after an error in the middle');

# Milliseconds that the best of three takes.
sub best_time
{
	my ($query) = @_;

	return $node->safe_psql('postgres', <<"END");
CREATE FUNCTION pg_temp.best(OUT best double precision) LANGUAGE plpgsql AS \$\$
DECLARE
	begun timestamptz;
BEGIN
	FOR i IN 1 .. 3 LOOP
		begun := clock_timestamp();
		PERFORM $query;
		best := least(best, 1000 * extract(epoch FROM clock_timestamp() - begun));
	END LOOP;
END \$\$;
SELECT pg_temp.best()
END
}

# To decode this model takes over a hundred times as long as a row's part of the step.
my $plain = best_time('cluster_step(x, m) FROM wide, wide_model');
my $time = best_time("$inner FROM wide, wide_model");
note(sprintf('a step over wide rows: %.0f ms; inside another aggregate: %.0f ms', $plain, $time));
cmp_ok($time, '<', 20 * $plain, 'the model is not decoded for each row');

$node->stop;
done_testing();

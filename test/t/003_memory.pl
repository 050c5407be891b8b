# What fits need: little for each of many groups, and more than a gigabyte where there is that much.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('memory');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION clustering');

# ---- many groups ----

# The memory of a HashAggregate, in kB: all transition states at once.
sub hash_memory
{
	my ($rows, $aggregate) = @_;
	my $plan = $node->safe_psql('postgres', <<"END");
SET work_mem = '1GB'; SET enable_sort = off; SET max_parallel_workers_per_gather = 0; SET jit = off;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) SELECT g, $aggregate FROM $rows GROUP BY g
END
	my ($memory) = $plan =~ /"Peak Memory Usage": (\d+)/;

	unlike($plan, qr/"Disk Usage": [1-9]/, 'nothing went to disk');
	return $memory;
}

$node->safe_psql('postgres', <<'END');
CREATE UNLOGGED TABLE groups AS
SELECT i % 10000 AS g, ARRAY[i * 7919 % 10007, i * 104729 % 1299709]::double precision[] AS x
FROM generate_series(1, 1000000::bigint) AS i;
CREATE UNLOGGED TABLE small AS SELECT g, x FROM groups LIMIT 30000;
VACUUM ANALYZE;
END

my $yardstick = hash_memory('groups', 'array_agg(x)');
my $used = hash_memory('groups', 'kmeans_fit(x, 3)');
note("10,000 groups of 100 rows: $used kB, array_agg $yardstick kB");
cmp_ok($used, '<', 2 * $yardstick, '10,000 groups of 100 rows take less than twice what array_agg does');

$used = hash_memory('groups', q{kmeans_fit(x, 3, '{"seed": 1}', 1)});
note("with options and weights: $used kB");
cmp_ok($used, '<', 2 * $yardstick, 'with options and weights too');

$yardstick = hash_memory('small', 'array_agg(x)');
$used = hash_memory('small', q{kmeans_fit(x, 1)});
note("10,000 groups of 3 rows: $used kB, array_agg $yardstick kB");
cmp_ok($used, '<', 2 * $yardstick, '10,000 groups of 3 rows too');

is( $node->safe_psql(
		'postgres',
		'SELECT count(*), sum((i).rows), bool_and((i).k = 3 AND (i).converged) FROM'
		  . ' (SELECT cluster_info(kmeans_fit(x, 3)) AS i FROM groups GROUP BY g) AS f'),
	'10000|1000000|t',
	'10,000 groups, one statement');

# ---- nothing grows in a session ----

# kB that the session's contexts hold.
sub session_memory
{
	my ($sql, $times) = @_;
	my $memory = 'SELECT sum(total_bytes) / 1024 FROM pg_backend_memory_contexts;';
	my $out = $node->safe_psql('postgres', "SET client_min_messages = error; $sql $memory " . ($sql x $times) . $memory);

	return split(/\n/, $out);
}

my $fits = q{DO $$ BEGIN PERFORM kmeans_fit(x, 3) FROM small WHERE g < 100 GROUP BY g; END $$; };
my ($before, $after) = session_memory($fits, 100);
cmp_ok($after, '<', $before + 500, 'a hundred statements leave nothing behind');

my $errors = <<'END';
DO $$
DECLARE
	good bytea := kmeans_model('{{1},{9}}');
	caught integer := 0;
BEGIN
	FOR i IN 1..2000 LOOP
		BEGIN
			PERFORM cluster_predict(set_byte(good, 200, i % 250), ARRAY[i]);
		EXCEPTION WHEN data_corrupted THEN
			caught := caught + 1;
		END;
		BEGIN
			PERFORM kmeans_fit(ARRAY[v], 9) FROM generate_series(1, 3) AS v;
		EXCEPTION WHEN invalid_parameter_value THEN
			caught := caught + 1;
		END;
	END LOOP;
END $$;
END
($before, $after) = session_memory($errors, 5);
note("before errors $before kB, after $after kB");
cmp_ok($after, '<', $before + 500, 'errors that are caught leave nothing behind');

# While the statement runs, too: one function call site sees many models, some of them damaged.
my $inside = $node->safe_psql('postgres', <<'END');
CREATE FUNCTION try(m bytea) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	RETURN cluster_predict(m, ARRAY[1]);
EXCEPTION WHEN data_corrupted THEN
	RETURN 0;
END $$;
SELECT count(*) FILTER (WHERE label > 0), (SELECT sum(total_bytes) FROM pg_backend_memory_contexts) < 50e6
FROM (SELECT try(set_byte(kmeans_model(ARRAY[[i], [i + 1]]), 200, (i % 2) * 77)) AS label FROM generate_series(1, 20000) AS i) AS t;
END
is($inside, '10000|t', 'damaged models in a statement are not kept');
$inside = $node->safe_psql('postgres', <<'END');
SELECT sum(label), (SELECT sum(total_bytes) FROM pg_backend_memory_contexts) < 50e6
FROM (SELECT cluster_predict(kmeans_model(ARRAY[[i], [i + 1]]), ARRAY[i]) AS label FROM generate_series(1, 50000) AS i) AS t;
END
is($inside, '50000|t', 'of many models only the last few are kept');

# ---- more than a gigabyte ----

SKIP:
{
	skip 'set CLUSTERING_TEST_HUGE for points of more than 1 GB, which takes minutes and 5 GB of memory', 2
	  unless $ENV{CLUSTERING_TEST_HUGE};
	is( $node->safe_psql(
			'postgres', <<'END'), '70000000|70000000|t', '70 million points of 16 bytes, 1.1 GB');
SELECT rows, total_weight, converged
FROM cluster_info((SELECT kmeans_fit(ARRAY[i * 7919 % 1000003, i * 104729 % 998244353]::double precision[], 3)
	FROM (SELECT generate_series(1, 70000000::bigint) AS i) AS s));
END
	is( $node->safe_psql(
			'postgres', <<'END'), '300000|1000|t', '300,000 points of 4,000 bytes, 1.2 GB');
SELECT rows, dimensions, converged
FROM cluster_info((SELECT kmeans_fit((p.x[i % 1000 + 1:1000] || p.x[1:i % 1000]), 2)
	FROM (SELECT array_agg((j * 7919 % 1009)::real) AS x FROM generate_series(1, 1000) AS j) AS p, generate_series(1, 300000) AS i));
END
}

$node->stop;
done_testing();

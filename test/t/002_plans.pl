# The plan makes no difference to a model: parallel scans and joins, workers, sorted and hashed
# groups, and JIT.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('plans');
$node->init;
$node->append_conf('postgresql.conf', "max_parallel_workers = 8\nmax_worker_processes = 12\n");
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION clustering;
CREATE TABLE points AS
SELECT i AS id, i % 10 AS part, ARRAY[i * 7919 % 10007, i * 104729 % 1299709, i % 13]::double precision[] AS x
FROM generate_series(1, 100000::bigint) AS i;
ALTER TABLE points SET (parallel_workers = 3);
CREATE TABLE parts AS SELECT part, part + 2 AS k FROM generate_series(0, 9) AS part;
CREATE TABLE split (LIKE points) PARTITION BY LIST (part);
CREATE TABLE split_even PARTITION OF split FOR VALUES IN (0, 2, 4, 6, 8);
CREATE TABLE split_odd PARTITION OF split FOR VALUES IN (1, 3, 5, 7, 9);
INSERT INTO split SELECT * FROM points;
CREATE TABLE model AS SELECT kmeans_fit(x, 8) AS m FROM points;
ANALYZE;
END

my $serial = "SET max_parallel_workers_per_gather = 0;\n";
my $parallel = <<'END';
SET max_parallel_workers_per_gather = 4;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
END
my $jit = "SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0;\n";

sub plan_of
{
	my ($settings, $query) = @_;

	return $node->safe_psql('postgres', "${settings}EXPLAIN (COSTS OFF) $query");
}

sub answer
{
	my ($settings, $query) = @_;

	return $node->safe_psql('postgres', "$settings$query");
}

my %queries = (
	'a fit above a scan' => 'SELECT md5(kmeans_fit(x, 8)) FROM points',
	'a soft fit above a scan' => q{SELECT md5(kmeans_fit(x, 4, '{"beta": 1e-12, "max_iter": 20}')) FROM points WHERE id <= 20000},
	'a weighted fit above a scan' => q{SELECT md5(kmeans_fit(x, 5, '{"seed": 3}', 1 + id % 3)) FROM points},
	'a fit above a join' => 'SELECT md5(kmeans_fit(x, 4)) FROM points JOIN parts USING (part) WHERE k > 4',
	'fits of groups' => 'SELECT part, md5(kmeans_fit(x, 3)) FROM points GROUP BY part ORDER BY part',
	'fits of a partitioned table' => 'SELECT part, md5(kmeans_fit(x, 3)) FROM split GROUP BY part ORDER BY part',
	'labels' => 'SELECT cluster_predict(m, x), count(*), sum(id) FROM points, model GROUP BY 1 ORDER BY 1',
	'distances' => 'SELECT max(cluster_distance(m, x)), min(cluster_distance(m, x)) FROM points, model',
	'components of the clusters' => 'SELECT c.cluster, c.size, count(*) FROM points, model, cluster_components(m) AS c'
	  . ' WHERE cluster_predict(m, x) = c.cluster GROUP BY 1, 2 ORDER BY 1');

for my $name (sort keys %queries)
{
	my $query = $queries{$name};
	my $expected = answer($serial, $query);

	unlike(plan_of($serial, $query), qr/Gather/, "$name: a serial plan");
	like(plan_of($parallel, $query), qr/Gather/, "$name: a parallel plan");
	is(answer($parallel, $query), $expected, "$name: the same from a parallel plan");
	is(answer("${parallel}SET parallel_leader_participation = off;\n", $query), $expected, "$name: the same without the leader");
	is(answer("$serial$jit", $query), $expected, "$name: the same with JIT");
	is(answer("$parallel$jit", $query), $expected, "$name: the same from a parallel plan with JIT");
}

# Fits in the workers themselves: in a subplan of each row that they read.
my $subplan = 'SELECT part, k, md5((SELECT kmeans_fit(x, 3) FROM split WHERE split.part = parts.part)) FROM parts ORDER BY part';
my $in_workers = "${parallel}SET parallel_leader_participation = off; ALTER TABLE parts SET (parallel_workers = 2);\n";
my $expected = answer($serial, $subplan);
is(answer($in_workers, $subplan), $expected, 'fits in a subplan');
like(plan_of($in_workers, $subplan), qr/Gather.*SubPlan/s, 'which is below a Gather')
  or diag(plan_of($in_workers, $subplan));

# Hashed and sorted groups.
my $groups = q{SELECT count(*), sum(hashtextextended(m::text, g)::numeric) FROM
	(SELECT id % 500, kmeans_fit(x, 2) FROM points GROUP BY 1) AS f (g, m)};
$expected = answer("${serial}SET enable_sort = off;\n", $groups);
like(plan_of("${serial}SET enable_sort = off;\n", $groups), qr/HashAggregate/, 'hashed groups');
like(plan_of("${serial}SET enable_hashagg = off;\n", $groups), qr/GroupAggregate/, 'sorted groups');
is(answer("${serial}SET enable_hashagg = off;\n", $groups), $expected, 'give the same models');
is(answer("${serial}SET enable_sort = off; SET work_mem = '64kB'; SET hash_mem_multiplier = 1;\n", $groups),
	$expected, 'as do groups that spill to disk');

SKIP:
{
	skip 'this server has no JIT', 1 if answer('', 'SELECT pg_jit_available()') ne 't';
	like(answer($jit, 'EXPLAIN (ANALYZE, TIMING OFF) SELECT kmeans_fit(x, 3) FROM points WHERE id < 100'),
		qr/JIT:/, 'JIT was at work');
}

# ---- one warning per query ----

sub warnings_of
{
	my ($sql) = @_;
	my ($result, $stdout, $stderr) = $node->psql('postgres', "$serial$sql");
	my @found = $stderr =~ /WARNING:  kmeans fit did not converge/g;

	return scalar(@found);
}

my $stop = q{kmeans_fit(x, 9, '{"max_iter": 1}')};
is(warnings_of("SELECT length($stop) FROM points"), 1, 'a fit that did not converge warns');
is(warnings_of("SELECT part, length($stop) FROM points GROUP BY part"), 1, 'many groups warn once');
is(warnings_of("SET enable_hashagg = off; SELECT part, length($stop) FROM points GROUP BY part"), 1, 'sorted groups too');
is(warnings_of("SELECT length($stop OVER (PARTITION BY part)) FROM points WHERE id < 1000"), 1, 'windows too');
is(warnings_of("SELECT length($stop) FROM points; SELECT length($stop) FROM points"), 2, 'each query warns');
is(warnings_of('SELECT length(kmeans_fit(x, 9)) FROM points'), 0, 'a fit that converged does not');

$node->stop;
done_testing();

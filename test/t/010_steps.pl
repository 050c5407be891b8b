# Steps in workers and over shards: PostgreSQL plans them as partial aggregates, and who did which
# part makes no difference to the model.  Fits over a query use such plans, can be interrupted, and
# take memory for the model and not for the passes.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('steps');
$node->init;
$node->append_conf('postgresql.conf', "max_parallel_workers = 8\nmax_worker_processes = 12\n");
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION clustering;
CREATE TABLE points AS
SELECT i AS id, ARRAY[i * 7919 % 10007 / 100.0, i * 104729 % 1299709 / 1e4, i % 13]::double precision[] AS x,
	ARRAY(SELECT (i * j * 7919) % 11 < 2 + 6 * ((i + j) % 2) FROM generate_series(1, 14) AS j) AS bits
FROM generate_series(1, 60000::bigint) AS i;
ALTER TABLE points SET (parallel_workers = 3);
CREATE TABLE shard1 AS SELECT * FROM points WHERE id % 7 < 3;
CREATE TABLE shard2 AS SELECT * FROM points WHERE id % 7 IN (3, 4);
CREATE TABLE shard3 AS SELECT * FROM points WHERE id % 7 > 4;
CREATE TABLE models AS
SELECT 'kmeans' AS name, kmeans_model(array_agg(x)) AS m FROM points WHERE id <= 20
UNION ALL SELECT 'kmedians', kmedians_model(array_agg(x)) FROM points WHERE id <= 20
UNION ALL SELECT 'gmm', gmm_fit(x, 4, '{"tol": 1e-3}') FROM points WHERE id <= 500
UNION ALL SELECT 'soft', kmeans_fit(x, 4, '{"beta": 0.01, "max_iter": 1000, "tol": 1e-3}') FROM points WHERE id <= 500
UNION ALL SELECT 'bernoulli', bernoulli_fit(bits, 3, '{"tol": 1e-3}') FROM points WHERE id <= 500;
-- the largest difference between numbers of two models, relative to their size
CREATE FUNCTION difference(a bytea, b bytea) RETURNS double precision LANGUAGE sql AS $$
	SELECT max(abs(p.v - q.v) / (1e-3 + abs(p.v)))
	FROM (SELECT cluster, o, v::double precision FROM cluster_components(a), unnest(string_to_array(
		translate(concat_ws(',', weight, center, covariance), '{}', ''), ',')) WITH ORDINALITY AS u (v, o)) AS p
	JOIN (SELECT cluster, o, v::double precision FROM cluster_components(b), unnest(string_to_array(
		translate(concat_ws(',', weight, center, covariance), '{}', ''), ',')) WITH ORDINALITY AS u (v, o)) AS q
	USING (cluster, o)
$$;
-- K-medians between two refits: with brackets
INSERT INTO models SELECT 'brackets', cluster_step(x, m) FROM points, models WHERE name = 'kmedians';
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

sub answer
{
	my ($settings, $query) = @_;

	return $node->safe_psql('postgres', "$settings$query");
}

# ---- plans ----

for my $name (qw(kmeans kmedians brackets gmm soft bernoulli))
{
	my $x = $name eq 'bernoulli' ? 'bits' : 'x';
	my $m = "(SELECT m FROM models WHERE name = '$name')";
	my $step = "SELECT cluster_step($x, $m) FROM points";
	my $plan = answer($parallel, "EXPLAIN (COSTS OFF) $step");
	my $shards = join(' UNION ALL ', map { "SELECT cluster_step_partial($x, $m) AS s FROM shard$_" } (3, 1, 2));
	my $tree = 'SELECT cluster_step_final(cluster_step_combine('
	  . "(SELECT cluster_step_combine((SELECT cluster_step_partial($x, $m) FROM shard3), (SELECT cluster_step_partial($x, $m) FROM shard1))),"
	  . "(SELECT cluster_step_partial($x, $m) FROM shard2)))";

	like($plan, qr/Finalize Aggregate.*Gather.*Partial Aggregate/s, "$name: a partial and a final aggregate");
	for my $other (
		[ 'workers', $parallel, $step ],
		[ 'workers without the leader', "${parallel}SET parallel_leader_participation = off;\n", $step ],
		[ 'workers with JIT', "$parallel$jit", $step ],
		[ 'another order', $serial, "SELECT cluster_step($x, $m ORDER BY id % 101, id) FROM points" ],
		[ 'shards', $serial, "SELECT cluster_step_merge(s) FROM ($shards) AS t" ],
		[ 'a tree of shards', $serial, $tree ])
	{
		my ($what, $settings, $query) = @$other;

		if ($name =~ /^(kmeans|kmedians|brackets)$/)
		{
			is(answer($settings, "SELECT md5(($query))"), answer($serial, "SELECT md5(($step))"), "$name: the same from $what");
		}
		else
		{
			answer($settings, "DROP TABLE IF EXISTS other; CREATE TABLE other AS SELECT ($query) AS m");
			is(answer($serial, "SELECT difference(m, ($step)) < 1e-11 FROM other"), 't', "$name: the same from $what, but for rounding");
		}
	}
}

# ---- fits over a query ----

my $fit = q{SELECT md5(kmeans_fit_query('SELECT x FROM points', 6, '{"max_iter": 1000}'))};
is(answer($parallel, $fit), answer($serial, $fit), 'a fit over a query is the same with workers');

$fit =~ s/kmeans/kmedians/;
is(answer($parallel, $fit), answer($serial, $fit), 'also one of K-medians');
$fit =~ s/kmedians/kmeans/;

my $log = -s $node->logfile;
answer("${parallel}LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on; SET auto_explain.log_analyze = on;\n",
	$fit);
my $text = slurp_file($node->logfile, $log);
SKIP:
{
	skip 'auto_explain is not installed', 2 if $text !~ /Query Text/;
	like($text, qr/cluster_step_partial.*?Finalize Aggregate.*?Workers Launched: [1-4]/s, 'its passes had workers');
	like($text, qr/cluster_sketch.*?Finalize Aggregate.*?Workers Launched: [1-4]/s, 'the samples too');
}

# All passes see the rows that the statement sees, whatever is committed meanwhile.
is(answer($serial, <<'END'), "60000\n60000", 'one snapshot for all passes');
CREATE FUNCTION one_pass() RETURNS bigint LANGUAGE sql AS
	$$ SELECT (cluster_info(kmeans_fit_query('SELECT x FROM points', 3))).rows $$;
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT one_pass();
WITH more AS (INSERT INTO points SELECT -id, x, bits FROM points RETURNING 1) SELECT one_pass() FROM (SELECT count(*) FROM more) AS t;
ROLLBACK;
END

my ($result, $stdout, $stderr) = $node->psql('postgres',
	"SET statement_timeout = '300ms'; SELECT kmeans_fit_query('SELECT p.x FROM points p, generate_series(1, 1000)', 50)");
like($stderr, qr/canceling statement due to statement timeout/, 'a fit can be interrupted');

# ---- memory ----

SKIP:
{
	skip 'there is no /proc', 1 if !-r '/proc/self/status';
	my $peak = "regexp_replace(pg_read_file('/proc/' || pg_backend_pid() || '/status'), '.*VmHWM:\\s*(\\d+).*', '\\1')::bigint";
	my $many = q{SELECT length(kmeans_fit_query('SELECT x FROM points', (SELECT m FROM models WHERE name = 'kmeans'), '{"max_iter": %d}'));};
	my $grown = answer($serial, sprintf("$many\n", 2) . "CREATE TEMP TABLE peak AS SELECT $peak AS before;\n"
		. sprintf("$many\n", 60) . "SELECT $peak - before < 4000 FROM peak");

	like($grown, qr/^t$/m, 'more passes take no more memory') or diag($grown);
}

$node->stop;
done_testing();

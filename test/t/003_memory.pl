# What fits need: as much as doc/operations.md says, little for each of many groups, and more than a gigabyte where
# there is that much.  Nothing grows in a session, and where memory ends there is an error.
#
# CLUSTERING_TEST_LONG=1 calls every function 10,000 times.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
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

# ---- what rows take ----

# Bytes for each further row, of the process; the session has work_mem for all.
sub bytes_per_row
{
	my ($call) = @_;
	my @peak;

	for my $rows (65536, 131072)
	{
		my $session = Session->new($node);
		my $resident = sub { ($session->process('VmHWM') // return) - $session->process('RssShmem') };

		$session->ask(<<"END");
SET client_min_messages = error; SET work_mem = '1GB'; SET clustering.max_parallel_workers = 0; SET jit = off;
SELECT length(kmeans_fit(x, 1)) FROM (SELECT x FROM rows LIMIT 10) AS r; SELECT sum(i) FROM (SELECT i FROM rows LIMIT $rows) AS r;
END
		my $before = $resident->() // return;
		$session->ask("SELECT length($call) FROM (SELECT * FROM rows LIMIT $rows) AS r;");
		push @peak, $resident->() - $before;
		$session->quit;
	}
	return ($peak[1] - $peak[0]) * 1024 / 65536;
}

$node->safe_psql('postgres', <<'END');
CREATE UNLOGGED TABLE rows AS
SELECT i, ARRAY(SELECT i * (j * 2 + 7919) % 1000003 FROM generate_series(1, 8) AS j)::float8[] AS x, (i * 7919 % 1048573)::integer::bit(64)::bit varying AS bits
FROM generate_series(1, 131072::bigint) AS i;
VACUUM ANALYZE rows;
END

# The formulas of doc/operations.md.
my $once = q{'{"max_iter": 1}'};
my %documented = (
	"kmeans_fit(x, 3, $once)" => 64 + 24,
	"kmeans_fit(x || x || x, 3, $once)" => 2 * 192 + 24, # rows that are copied
	"kmeans_fit(x::real[], 3, $once)" => 32 + 24,
	"kmeans_fit(x, 3, $once, i)" => 64 + 24 + 16,
	q{kmeans_fit(x, 3, '{"max_iter": 1, "beta": 1e-12}')} => 64 + 24,
	"kmedians_fit(x, 3, $once)" => 64 + 32 + 24,
	"kmedians_fit(x, 3, $once, i)" => 64 + 32 + 24 + 32,
	"gmm_fit(x, 3, $once)" => 64 + 24,
	"gmm_fit(x, 3, $once, i)" => 64 + 24 + 16,
	"bernoulli_fit(bits, 3, $once)" => 2 * 8 + 24,
	# every row has labels of its own, or all but one
	'text(adjusted_rand_index(i, -i))' => 3 * 80,
	'text(normalized_mutual_information(i, i % 5))' => 2 * 80);

SKIP:
{
	skip 'no /proc', 2 * keys %documented unless -r "/proc/$$/status";
	for my $call (sort keys %documented)
	{
		my $bytes = bytes_per_row($call);

		note(sprintf('%s: %.0f bytes a row, documented %d', $call, $bytes, $documented{$call}));
		cmp_ok($bytes, '<', 1.25 * $documented{$call} + 8, "$call takes no more than documented");
		cmp_ok($bytes, '>', 0.6 * $documented{$call}, "$call is measured as documented");
	}
}

# ---- what steps take ----

# Models of 100,000 numbers in centres, and what a state has for each besides the model's bytes.
$node->safe_psql('postgres', <<'END');
CREATE TABLE large AS
WITH c AS (SELECT array_agg(ARRAY(SELECT i + j / 100.0 FROM generate_series(1, 100) AS j)::float8[]) AS centers FROM generate_series(1, 1000) AS i),
	v AS (SELECT array_agg(array_fill(1.0::float8, ARRAY[100])) AS variances FROM generate_series(1, 1000))
SELECT 'kmeans' AS name, kmeans_model(centers) AS m, 36 AS state FROM c UNION ALL
SELECT 'kmedians', kmedians_model(centers), 896 FROM c UNION ALL
SELECT 'gmm', gmm_model(NULL, centers, variances, 'diag'), 32 FROM c, v;
CREATE TABLE hundreds AS SELECT ARRAY(SELECT i % 1000 + j / 100.0 FROM generate_series(1, 100) AS j)::float8[] AS x FROM generate_series(1, 2000) AS i;
VACUUM ANALYZE;
END

SKIP:
{
	skip 'no /proc', 10 unless -r "/proc/$$/status";
	for my $line (split(/\n/, $node->safe_psql('postgres',
			'SELECT name, length(m), length(cluster_step_partial(x, m)), 100000 * state FROM hundreds, large GROUP BY name, m, state ORDER BY name')))
	{
		my ($name, $model, $state, $documented) = split(/\|/, $line);
		my $session = Session->new($node);
		my $before;

		cmp_ok($state - $model, '<', 1.05 * $documented + 256 * 808 + 64 * 900, "$name: the state of a step is as large as documented");
		cmp_ok($state - $model, '>', $documented, "$name: ... and is measured so");
		$session->ask('SET jit = off; SET max_parallel_workers_per_gather = 0; SELECT cluster_step(x, kmeans_model(ARRAY[x])) IS NULL FROM hundreds GROUP BY x LIMIT 1;');
		$before = $session->process('VmHWM') - $session->process('RssShmem');
		$session->ask("SELECT length(cluster_step(x, m)) FROM hundreds, large WHERE name = '$name';");
		my $peak = 1024 * ($session->process('VmHWM') - $session->process('RssShmem') - $before);
		note(sprintf('%s: model %d, state %d, process %d', $name, $model, $state, $peak));
		cmp_ok($peak, '<', 2.5 * $state + 25 * $model, "$name: a step takes two states, and tables");
		$session->quit;
	}
	for my $call ('cluster_step(x, (SELECT kmeans_model(ARRAY[array_fill(0.0, ARRAY[8])])))', 'cluster_sketch(x, NULL, 100, 1, 0, 1)')
	{
		cmp_ok(bytes_per_row($call), '<', 8, "$call takes nothing for a row");
	}
}

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

# ---- every function, thousands of times ----

my $session = Session->new($node);
$session->ask(<<'END');
SET client_min_messages = error; SET jit = off;
CREATE TABLE few AS SELECT ARRAY[i % 7, i * i % 11]::float8[] AS x, ARRAY[i % 2, i % 3 / 2, 1] AS bits, i % 3 + 1 AS w FROM generate_series(1, 30) AS i;
CREATE TABLE m AS SELECT kmeans_fit(x, 3) AS kmeans, kmedians_fit(x, 3) AS kmedians, gmm_fit(x, 2) AS gmm, bernoulli_fit(bits, 2) AS bernoulli FROM few;
CREATE TABLE calls (id integer GENERATED ALWAYS AS IDENTITY, call text);
INSERT INTO calls (call) VALUES
	('kmeans_fit(x, 3) FROM few'), ('kmeans_fit(x, 3, kmeans_options(n_init => 2), w) FROM few'),
	('kmeans_fit(x, kmeans_model(''{{1,1},{5,5}}''), ''{"beta": 1}'') FROM few'),
	('kmedians_fit(x, 3, kmedians_options(seed => 3), w) FROM few'),
	('kmedians_fit(x, kmedians_model(''{{1,1},{5,5}}'')) FROM few'),
	('gmm_fit(x, 2, gmm_options(covariance => ''diag''), w) FROM few'),
	('gmm_fit(x, gmm_model(NULL, ''{{1,1},{5,5}}'', ''{1,1}'', ''spherical'')) FROM few'),
	('bernoulli_fit(bits, 2, bernoulli_options(smoothing => 1), w) FROM few'),
	('bernoulli_fit(''101''::bit varying, bernoulli_model(NULL, ''{{0.5,0.5,0.5}}''))'),
	('kmeans_fit(x, 2) OVER (ORDER BY w) FROM few'),
	('cluster_step(x, kmeans) FROM few, m'), ('cluster_step(x, gmm, w) FROM few, m'),
	('cluster_step(bits::boolean[], bernoulli) FROM (SELECT bits::integer[] AS bits FROM few) AS s, m'),
	('cluster_step_final(cluster_step_combine(cluster_step_partial(x, kmeans), cluster_step_partial(x, kmeans))) FROM few, m'),
	('cluster_step_merge(s) FROM (SELECT cluster_step_partial(x, gmm) AS s FROM few, m) AS t'),
	('kmeans_fit_query(''SELECT x FROM few'', 2)'), ('gmm_fit_query(''SELECT x, w FROM few'', 2)'),
	('kmedians_fit_query(''SELECT x, w FROM few'', 2)'),
	('bernoulli_fit_query(''SELECT bits FROM few'', 2)'),
	('cluster_sketch_rows(cluster_sketch_combine(cluster_sketch(x, NULL, 5, 1, 0, 1), cluster_sketch(x, NULL, 5, 1, 0, 1))) FROM few'),
	('cluster_predict(kmeans, x), cluster_predict(gmm, x), cluster_predict(bernoulli, bits) FROM few, m'),
	('cluster_probabilities(gmm, x), cluster_distance(kmedians, x), cluster_distances(kmedians, x), cluster_center(kmeans, x), cluster_log_density(gmm, x) FROM few, m'),
	('cluster_info(kmeans), cluster_info(bernoulli) FROM m'), ('cluster_components(gmm), cluster_trace(kmeans) FROM m'),
	('cluster_from_json(cluster_to_json(gmm)), cluster_from_json(cluster_to_json(bernoulli)) FROM m'),
	('cluster_mean(gmm), cluster_covariance(gmm), cluster_sample(gmm, 5, 1), cluster_mean(bernoulli) FROM m'),
	('gmm_add(gmm, gmm), gmm_marginal(gmm, ''{2}''), gmm_condition(gmm, ''{1}'', ''{3}''), gmm_kl(gmm, gmm, 10, 1) FROM m'),
	('gaussian_kl(''{0,0}'', ''{1,1}'', ''{1,0}'', ''{{2,0},{0,2}}'')'),
	('adjusted_rand_index(w, x[1]), normalized_mutual_information(w, x[2]::text) FROM few');
CREATE FUNCTION repeat_call(call text, times integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..times LOOP
		EXECUTE 'SELECT ' || call;
	END LOOP;
END $$;
END

is( $session->ask(<<'END'),
SELECT string_agg(DISTINCT proname, ', ') FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.objid
WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'clustering')
	AND NOT EXISTS (SELECT FROM calls WHERE call ~ ('\m' || proname || '\('))
	AND NOT EXISTS (SELECT FROM pg_aggregate WHERE p.oid IN (aggtransfn, aggfinalfn, aggcombinefn));
END
	'', 'the calls below are of every function there is');

# Twice the same: the first time caches fill up.
my $times = $ENV{CLUSTERING_TEST_LONG} ? 10000 : 200;
for my $id (split /\n/, $session->ask('SELECT id FROM calls ORDER BY id;'))
{
	my $call = $session->ask("SELECT call FROM calls WHERE id = $id;");
	my $repeat = sub { $session->ask("SELECT repeat_call(call, $_[0]) FROM calls WHERE id = $id;") };

	$repeat->(20);
	is($session->{err}, '', "$call works");
	my $held = $session->memory;
	$repeat->($times);
	cmp_ok($session->memory - $held, '<=', 8192, "$times times $call leave nothing");
}

# ---- where memory ends ----

# The address space that the session may have is limited from outside, a little above what it has.
SKIP:
{
	my $size = $session->process('VmSize');
	skip 'no /proc or no prlimit', 1 unless $size && system('prlimit --version >/dev/null 2>&1') == 0;

	$session->ask(<<'END');
CREATE UNLOGGED TABLE much AS
SELECT ARRAY[i * 7919 % 10007, i * 104729 % 1299709, i]::float8[] AS x, ((i * 7919) % 1048576)::integer::bit(20)::bit varying AS bits, i % 3 + 0.5 AS w
FROM generate_series(1, 600000::bigint) AS i;
SELECT sum(x[1]) FROM much;
END
	my $memory = $session->memory;
	my $big = '(SELECT kmeans_model(array_agg(ARRAY[i, i, i])) FROM generate_series(1, 500000) AS i)';
	my $files = "SET work_mem = '4MB';";
	for my $try (
		[ 'kmeans_fit(x, 3)' ], [ 'kmeans_fit(x, 3, kmeans_options(beta => 1), w)' ], [ 'kmedians_fit(x, 3)' ], [ 'gmm_fit(x, 3)' ],
		[ 'kmeans_fit(x, 3)', 'SET clustering.max_parallel_workers = 2;' ],
		[ 'bernoulli_fit(bits, 300)' ], [ "kmeans_fit(x, $big)" ], [ "cluster_step(x, $big)" ],
		[ 'kmeans_fit(x, 3)', $files ], [ 'kmedians_fit(x, 3)', $files ], [ 'gmm_fit(x, 3)', $files ], [ 'bernoulli_fit(bits, 3)', $files ])
	{
		my ($call, $settings) = (@$try, '');
		my $errors = 0;

		$session->ask("SET work_mem = '1GB'; SET clustering.max_parallel_workers = 0; $settings");

		# ever more: what doesn't fit is now the rows, now their order, the points or the fit
		for my $megabytes (2, 8, 24, 60)
		{
			my $limit = ($session->process('VmSize') + $megabytes * 1024) * 1024;
			system("prlimit --pid $session->{pid} --as=$limit:") == 0 or die 'prlimit';
			$session->ask("SET statement_timeout = '5s'; SELECT length($call) FROM much;");
			$errors++ if $session->{err} =~ /53200:|54000/;
			like($session->{err}, qr/^$|53200: (out of memory|could not map)|54000|57014/, "$call with $megabytes MB: an error, or none");
			system("prlimit --pid $session->{pid} --as=unlimited:") == 0 or die 'prlimit';
		}
		cmp_ok($errors, '>', 0, "$call runs out of memory; $settings");
	}
	is($session->ask('SELECT (cluster_info(kmeans_fit(x, 3))).k FROM few;'), '3', 'the session goes on');
	cmp_ok($session->memory - $memory, '<', 262144, 'and holds no more than before');
}
$session->quit;

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

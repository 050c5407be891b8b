# A fit with parallel workers: they come, fewer come, none, one ends in the middle, the query is
# cancelled, the fit is above a Gather or in a worker itself.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = PostgreSQL::Test::Cluster->new('workers');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
max_worker_processes = 8
max_parallel_workers = 4
clustering.max_parallel_workers = 2
clustering.progress_interval = 0
client_min_messages = error
jit = off
END
$node->start;
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION clustering;
CREATE TABLE point AS
SELECT i % 4 AS g, ARRAY[(i * 7919) % 10007 / 100.0, (i * 104729::bigint) % 7 * 10 + (i * 31) % 101 / 50.0,
	(i * 15485863::bigint) % 1009 / 250.0]::float8[] AS x
FROM generate_series(1, 200000) AS i;
CREATE TABLE bits AS
SELECT ((i * 2654435761) % 4294967296)::bit(32)::varbit AS x FROM generate_series(1::bigint, 200000) AS i;
ANALYZE;
END

# A fit that goes on for ever, nearly.
my $long = q{SELECT kmeans_fit(x, 200, '{"n_init": 10000}') FROM point};
my $workers_there =
  q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'};

sub fit_in_background
{
	my ($settings, $query) = @_;
	my %fit = (out => '', err => '');

	$fit{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $settings, '-c', $query,
			'-c', "SELECT 'usable', count(*) FROM pg_ls_tmpdir()" ],
		'>', \$fit{out}, '2>', \$fit{err},
		IPC::Run::timeout(180));
	return \%fit;
}

# Waits for a fit that has been ended; what it said, and whether it left nothing behind.
sub check_end
{
	my ($name, $fit, $message) = @_;

	$fit->{run}->finish;
	like($fit->{err}, $message, "$name: the error");
	is($fit->{out}, "usable|0\n", "$name: the session goes on, no files are left");
	ok($node->poll_query_until('postgres', $workers_there, '0'), "$name: no workers are left");
}

# ---- all algorithms: workers do come, and do their part ----

my %fits = (
	'K-means' => $long,
	'K-medians' => q{SELECT kmedians_fit(x, 100, '{"n_init": 10000}') FROM point},
	'GMM' => q{SELECT gmm_fit(x, 40, '{"n_init": 1000, "tol": 0, "max_iter": 100000}') FROM point},
	'Bernoulli' => q{SELECT bernoulli_fit(x, 20, '{"n_init": 1000, "tol": 0, "max_iter": 100000}') FROM bits},
	'soft K-means' => q{SELECT kmeans_fit(x, 50, '{"n_init": 1000, "beta": 1, "max_iter": 100000}') FROM point});

for my $name (sort keys %fits)
{
	my $fit = fit_in_background('SET statement_timeout = 0', $fits{$name});

	ok( $node->poll_query_until('postgres',
			"SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'parallel worker' AND query = \$\$$fits{$name}\$\$"),
		"$name: two workers come, and show whose they are");
	sleep(0.5);
	$node->safe_psql('postgres',
		q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%\_fit(%'
			AND backend_type = 'client backend' AND pid <> pg_backend_pid()});
	check_end("$name, cancelled", $fit, qr/canceling statement due to user request/);
}

# ---- a worker is ended, the leader is ended ----

my $fit = fit_in_background('SET statement_timeout = 0', $long);
$node->poll_query_until('postgres',
	q{SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'parallel worker'});
sleep(1);
$node->safe_psql('postgres',
	q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE backend_type = 'parallel worker' LIMIT 1});
check_end('a worker is ended', $fit, qr/terminating .* due to administrator command/);

$fit = fit_in_background('SET statement_timeout = 0', $long);
$node->poll_query_until('postgres',
	q{SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'parallel worker'});
$node->safe_psql('postgres',
	q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()});
$fit->{run}->finish;
ok($node->poll_query_until('postgres', $workers_there, '0'), 'the leader is ended: so are the workers');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', '... and its files');

# An error on the side of the leader.  PostgreSQL 18 puts the name into quotes.
$fit = fit_in_background("SET temp_file_limit = '3MB'; SET work_mem = '64kB'", $long);
check_end('no room', $fit, qr/temporary file size exceeds "?temp_file_limit/);

# ---- the same model, whoever comes ----

my $short = q{SELECT md5(kmeans_fit(x, 40, '{"max_iter": 10}')) FROM point};
my $alone = $node->safe_psql('postgres', "SET clustering.max_parallel_workers = 0; $short");

is($node->safe_psql('postgres', "SET clustering.max_parallel_workers = $_; $short"),
	$alone, "the same model with up to $_ workers")
  for (1, 4, 100);
is($node->safe_psql('postgres', "SET max_parallel_workers = 0; $short"),
	$alone, 'the same model where none may come');
is( $node->safe_psql('postgres', "SET clustering.max_parallel_workers = -1;
	SET max_parallel_workers_per_gather = 0; $short"),
	$alone, 'the setting of the executor holds where there is no other');

# Two at a time want more workers than there are.
my @both = map { fit_in_background('SET clustering.max_parallel_workers = 4', $short) } 1 .. 3;
for my $one (@both)
{
	$one->{run}->finish;
	like($one->{out}, qr/^$alone\n/, 'the same model where some workers are taken');
}

# ---- where in a plan ----

my $gather = <<'END';
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2; SET enable_sort = off;
END
my $groups = q{SELECT g, md5(kmeans_fit(x, 90, '{"max_iter": 3}')) FROM point GROUP BY g ORDER BY g};
my $models = $node->safe_psql('postgres',
	"SET max_parallel_workers_per_gather = 0; SET clustering.max_parallel_workers = 0; $groups");

like($node->safe_psql('postgres', "$gather EXPLAIN (COSTS OFF) $groups"), qr/Gather/, 'a fit above a Gather');
is($node->safe_psql('postgres', "$gather $groups"), $models, '... has workers of its own');

# In a worker: the subquery is computed there.
$node->safe_psql('postgres', <<'END');
CREATE FUNCTION fit_group(wanted int) RETURNS text LANGUAGE sql PARALLEL SAFE STABLE
AS $$ SELECT md5(kmeans_fit(x, 90, '{"max_iter": 3}')) FROM point WHERE g = wanted $$;
END
my $force = $node->safe_psql('postgres',
	q{SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')});
is( $node->safe_psql('postgres',
		"SET $force = on; SELECT g || '|' || fit_group(g) FROM generate_series(0, 3) AS g ORDER BY g"),
	$models, 'a fit inside a parallel worker goes without');

is($node->safe_psql('postgres', "BEGIN ISOLATION LEVEL SERIALIZABLE; SAVEPOINT a; $short; COMMIT"),
	$alone, 'in a serializable transaction, after a savepoint');
is($node->safe_psql('postgres', "CREATE TABLE model AS $short; SELECT * FROM model"),
	$alone, 'in CREATE TABLE AS');
is($node->safe_psql('postgres', "INSERT INTO model $short; SELECT * FROM model LIMIT 1 OFFSET 1"),
	$alone, 'in INSERT');
is($node->safe_psql('postgres', "BEGIN; DECLARE c CURSOR FOR $short; FETCH c; FETCH c; COMMIT"),
	$alone, 'in a cursor');
is( $node->safe_psql('postgres', <<"END"), $alone, 'after an error that was caught');
DO \$\$ BEGIN
	SET statement_timeout = 0;
	BEGIN
		PERFORM kmeans_fit(x, 90, '{"max_iter": 3}') FROM (SELECT x FROM point
			UNION ALL SELECT ARRAY[1/(count(*)-200000)::float8, 0, 0] FROM point) AS p;
	EXCEPTION WHEN division_by_zero THEN NULL;
	END;
END \$\$;
$short
END

# ---- progress ----

my @reports = (
	[ 'a fit', $short, qr/NOTICE:  kmeans fit: start 1 of 1, iteration \d+, objective [0-9.e+]+, \d+ rows per second$/m ],
	[ 'a fit with several starts', q{SELECT length(kmeans_fit(x, 40, '{"n_init": 3, "max_iter": 5}')) FROM point},
		qr/NOTICE:  kmeans fit: start 3 of 3, /m ],
	[ 'a fit over a query', q{SELECT length(kmeans_fit_query('SELECT x FROM point', 40, '{"max_iter": 3}'))},
		qr/NOTICE:  kmeans fit: start 1 of 1, iteration 2, objective [0-9.e+]+, \d+ rows per second$/m ]);

for my $report (@reports)
{
	my ($name, $query, $notice) = @$report;
	my $stderr = '';

	$node->psql('postgres', "SET client_min_messages = notice; SET clustering.progress_interval = '1ms'; $query",
		stderr => \$stderr);
	like($stderr, $notice, "$name says how far it is");
	$node->psql('postgres', "SET client_min_messages = notice; SET clustering.progress_interval = 0; $query",
		stderr => \$stderr);
	unlike($stderr, qr/NOTICE/, "$name is silent where it's told to be");
}

$node->stop;
done_testing();

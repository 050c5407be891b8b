# A fit can be cancelled at any moment: statement_timeout and pg_cancel_backend are answered within
# about 100 ms, while rows are collected, sorted, seeded, iterated on and exchanged; and nothing is left
# behind, however often it happens.
#
# How late the answers are is noted; only what can't be blamed on a busy machine is a failure.  Where the
# system says for how long a process waited for a CPU, that much is taken off.
# test/unit/test_interrupts.c measures the same by the time of the CPU.
#
# CLUSTERING_TEST_LONG=1 interrupts 1000 times in a row; CLUSTERING_TEST_SEED repeats a run.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use List::Util qw(max);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;
use Time::HiRes qw(sleep time);

my $seed = srand($ENV{CLUSTERING_TEST_SEED} // time);
note("CLUSTERING_TEST_SEED=$seed");
my $tries = $ENV{CLUSTERING_TEST_TRIES} || 6;
my $promised = 100;     # ms
my $excused = 2000;

my $node = PostgreSQL::Test::Cluster->new('cancel');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION clustering');

# The rows, and the call that takes a second or so.
my %fits = (
	'many rows' => [
		'SELECT ARRAY[random(), random()] AS x FROM generate_series(1, 600000)',
		'kmeans_fit(x, 3)' ],
	'many equal rows' => [
		'SELECT ARRAY[i % 100, i % 7] AS x FROM generate_series(1, 1500000) AS i',
		'kmeans_fit(x, 50)' ],
	'wide rows that are all equal' => [
		'SELECT array_fill(0.5::real, ARRAY[3000]) AS x FROM generate_series(1, 6000)',
		'kmeans_fit(x, 1)' ],
	'many clusters' => [
		'SELECT ARRAY[random(), random()] AS x FROM generate_series(1, 20000)',
		'kmeans_fit(x, 4000)' ],
	'many clusters of many dimensions' => [
		'SELECT ARRAY(SELECT random() FROM generate_series(1, 400 + i * 0)) AS x FROM generate_series(1, 3000) AS i',
		'kmeans_fit(x, 1500)' ],
	'many empty clusters' => [
		'SELECT ARRAY[random(), random()] AS x FROM generate_series(1, 100000)',
		'kmeans_fit(x, (SELECT kmeans_model(array_agg(ARRAY[0, 0])) FROM generate_series(1, 3000)))' ],
	'weights' => [
		'SELECT ARRAY[random()] AS x FROM generate_series(1, 600000)',
		q{kmeans_fit(x, 3, '{"n_init": 2, "init": "random"}', 0.1 + x[1])} ],
	'soft K-means' => [
		'SELECT ARRAY[random(), random(), random()] AS x FROM generate_series(1, 20000)',
		q{kmeans_fit(x, 100, '{"beta": 10}')} ],
	'K-medians' => [
		'SELECT ARRAY[random(), random(), random()] AS x FROM generate_series(1, 200000)',
		'kmedians_fit(x, 20)' ],
	'K-medians of few wide rows' => [
		'SELECT ARRAY(SELECT random() FROM generate_series(1, 8000 + i * 0)) AS x FROM generate_series(1, 60) AS i',
		'kmedians_fit(x, 20)' ],
	'Gaussian mixture' => [
		'SELECT ARRAY[random(), random(), random(), random()] AS x FROM generate_series(1, 100000)',
		'gmm_fit(x, 10)' ],
	'Gaussian mixture of many columns' => [
		'SELECT ARRAY(SELECT random() FROM generate_series(1, 150 + i * 0)) AS x FROM generate_series(1, 2000) AS i',
		q{gmm_fit(x, 8)} ],
	'Bernoulli mixture' => [
		'SELECT (random() * 1e9)::bigint::bit(30)::bit varying AS x FROM generate_series(1, 200000)',
		'bernoulli_fit(x, 20)' ],
	'step' => [
		'SELECT ARRAY[random(), random()] AS x FROM generate_series(1, 400000)',
		q{cluster_step(x, (SELECT kmeans_model(array_agg(ARRAY[i, sin(i)])) FROM generate_series(1, 300) AS i))} ],
);

# Of the time since the numbers before, in which a session wanted a CPU, the share in which it had one.
$node->safe_psql('postgres', <<'END');
CREATE FUNCTION cpu_times() RETURNS double precision[] LANGUAGE sql AS
	$$ SELECT string_to_array(trim(E'\n' FROM pg_read_file('/proc/self/schedstat', 0, 100, true)), ' ')::double precision[] $$;
CREATE FUNCTION cpu_share(earlier double precision[]) RETURNS double precision LANGUAGE sql AS
	$$ SELECT coalesce((t[1] - earlier[1]) / nullif(t[1] - earlier[1] + t[2] - earlier[2], 0), 1) FROM cpu_times() AS t $$;
END

# What the session may have set: in memory, from files, with workers.
my @settings = (
	q{SET work_mem = '1GB'; SET clustering.max_parallel_workers = 0},
	q{SET work_mem = '64kB'; SET clustering.max_parallel_workers = 0},
	q{SET work_mem = '1GB'; SET clustering.max_parallel_workers = 2});

# How late each timeout was answered, in ms; nothing where the fit was done before, or had not begun.
sub lateness
{
	my ($call, @timeouts) = @_;
	my $sql = '';

	for my $i (0 .. $#timeouts)
	{
		my $timeout = $timeouts[$i];

		$sql .= <<"END";
$settings[ $i % @settings ];
SET statement_timeout = $timeout;
DO \$\$
DECLARE
	late double precision;
	begun double precision[] := cpu_times();
BEGIN
	PERFORM $call FROM points;
EXCEPTION WHEN query_canceled THEN
	late := 1000 * extract(epoch FROM clock_timestamp() - statement_timestamp()) - $timeout;
	RAISE NOTICE 'late: %', late * cpu_share(begun);
END \$\$;
END
	}
	# a timeout may come just before or after the fit, and end the statement
	my ($result, $stdout, $stderr) =
	  $node->psql('postgres', "${sql}SET statement_timeout = 0; SELECT 'alive'", on_error_stop => 0);
	is($stdout, 'alive', 'the session goes on after each timeout') or diag($stderr);
	return $stderr =~ /late: (-?[\d.]+)/g;
}

for my $name (sort keys %fits)
{
	my ($rows, $call) = @{ $fits{$name} };

	$node->safe_psql('postgres', "DROP TABLE IF EXISTS points; CREATE UNLOGGED TABLE points AS $rows; ANALYZE points");
	my $begin = time;
	$node->psql('postgres', "SET statement_timeout = '2s'; SELECT length($call) FROM points");
	my $total = 1000 * (time - $begin);
	my @late = lateness($call, map { 10 + int(rand(0.8 * $total)) } 1 .. $tries);

	note(sprintf('%s: %.0f ms; late by %s ms', $name, $total, join(', ', map { sprintf('%.0f', $_) } @late)));
	cmp_ok(scalar(grep { $_ > $promised } @late) * 2, '<=', scalar(@late) + 1, "$name: timeouts are answered within $promised ms");
	cmp_ok(max(0, @late), '<', $excused, "$name: none is missed");
}

# ---- again and again, in one session ----

# Every algorithm in memory and over a query, on rows of their own.
$node->safe_psql('postgres', <<'END');
DROP TABLE points;
CREATE TABLE points AS
SELECT i, 0.5 + random() AS w, ARRAY[random(), random(), random()] AS x, (random() * 1e9)::bigint::bit(30)::bit varying AS bits
FROM generate_series(1, 20000) AS i;
ANALYZE points;
END

my @calls = (
	'SELECT kmeans_fit(x, 200) FROM points',
	q{SELECT kmeans_fit(x, 5, '{"n_init": 20}', w) FROM points},
	q{SELECT kmeans_fit(x, 20, '{"beta": 10}') FROM points},
	'SELECT kmedians_fit(x, 50) FROM points',
	'SELECT gmm_fit(x, 10) FROM points',
	q{SELECT gmm_fit(x, 10, '{"covariance": "diag"}', w) FROM points},
	'SELECT bernoulli_fit(bits, 10) FROM points',
	'SELECT kmeans_fit(x, 3) FROM points GROUP BY i % 2000',
	'SELECT kmeans_fit(x, 20) OVER (), x FROM points',
	q{SELECT kmeans_fit_query('SELECT x FROM points', 50)},
	q{SELECT gmm_fit_query('SELECT x, w FROM points', 5)},
	q{SELECT bernoulli_fit_query('SELECT bits FROM points', 5)},
	'SELECT cluster_step(x, (SELECT kmeans_model(array_agg(x)) FROM (SELECT x FROM points LIMIT 500) AS s)) FROM points',
	'SELECT sum(cluster_predict((SELECT gmm_fit(x, 3) FROM (SELECT x FROM points LIMIT 500) AS s), x)) FROM points');

my $session = Session->new($node);
my $interruptions = $ENV{CLUSTERING_TEST_LONG} ? 1000 : 50;
my ($cancelled, @late) = (0);

sub interrupt
{
	my ($call) = @_;
	my $timeout = 1 + int(rand(400));
	my $begin = time;

	$session->ask("$settings[ rand @settings ]; SET statement_timeout = $timeout; COPY ($call) TO '/dev/null'; SET statement_timeout = 0;");
	$session->{err} =~ /statement timeout/ or return;
	$cancelled++;
	push @late, 1000 * (time - $begin) - $timeout;
}

# all kinds of caches fill up first
$session->ask("SET client_min_messages = error; SET max_parallel_workers_per_gather = 0;");
for my $call (@calls)
{
	interrupt($call) for 1 .. 3;
}
my ($memory, $resident, $addresses) = ($session->memory, $session->process('VmRSS'), $session->process('VmSize'));
($cancelled, @late) = (0);
interrupt($calls[ rand @calls ]) for 1 .. $interruptions;
my $more = $session->memory - $memory;
my $more_resident = ($session->process('VmRSS') // 0) - ($resident // 0);
my $more_addresses = ($session->process('VmSize') // 0) - ($addresses // 0);

@late = sort { $a <=> $b } @late;
note(sprintf('%d of %d were interrupted; late by %.0f ms in the median, %.0f at most; memory contexts grew by %d bytes, the process by %d kB',
	$cancelled, $interruptions, $late[ @late / 2 ] // 0, $late[-1] // 0, $more, $more_resident));
cmp_ok($cancelled, '>', $interruptions / 4, 'fits were interrupted in the middle');
cmp_ok($more, '<=', 65536, 'the memory contexts are what they were');
cmp_ok($more_resident, '<', 65536, 'and so is the process, but for what the C library keeps');
cmp_ok($more_addresses, '<', 262144, 'nothing is mapped that was not');
ok(!(grep { (readlink($_) // '') =~ /pgsql_tmp/ } glob("/proc/$session->{pid}/fd/*")), 'and no temporary file is open');
cmp_ok($late[ @late / 2 ] // 0, '<', $promised, "most are answered within $promised ms");
is($session->ask('SELECT count(*) FROM pg_ls_tmpdir();'), '0', 'no temporary files are left');
is($session->ask("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker';"), '0', 'nor workers');
is($session->ask('SELECT (cluster_info(kmeans_fit(x, 2))).rows FROM points;'), '20000', 'and the session fits on');

# ---- pg_cancel_backend ----

@late = ();
for my $try (1 .. $tries)
{
	$session->send('SELECT kmeans_fit(x, 2000, kmeans_options(n_init => 100)) FROM points;');
	$node->poll_query_until('postgres', "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $session->{pid}");
	sleep(rand(1.5));
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($session->{pid})");
	my $begin = time;
	$session->answer;
	push @late, 1000 * (time - $begin);
	like($session->{err}, qr/canceling statement due to user request/, 'the fit was cancelled');
}
note('cancelled after ' . join(', ', map { sprintf('%.0f', $_) } @late) . ' ms');
cmp_ok(max(@late), '<', $excused, 'pg_cancel_backend is answered');
$session->quit;

$node->stop;
done_testing();

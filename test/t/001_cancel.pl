# A fit can be cancelled at any moment: statement_timeout and pg_cancel_backend are answered within
# about 100 ms, while rows are collected, sorted, seeded, iterated on and exchanged.
#
# How late the answers are is noted; only what can't be blamed on a busy machine is a failure.

use strict;
use warnings;

use IPC::Run;
use List::Util qw(max sum);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $tries = $ENV{CLUSTERING_TEST_TRIES} || 4;
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
		q{kmeans_fit(x, 100, '{"beta": 10}')} ]);

# How late each timeout was answered, in ms; nothing where the fit was done before, or had not begun.
sub lateness
{
	my ($call, @timeouts) = @_;
	my $sql = '';

	for my $timeout (@timeouts)
	{
		$sql .= <<"END";
SET statement_timeout = $timeout;
DO \$\$
BEGIN
	PERFORM $call FROM points;
EXCEPTION WHEN query_canceled THEN
	RAISE NOTICE 'late: %', 1000 * extract(epoch FROM clock_timestamp() - statement_timestamp()) - $timeout;
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

# ---- pg_cancel_backend, and what is left of the session's memory ----

$node->safe_psql('postgres',
	'DROP TABLE points; CREATE TABLE points AS SELECT ARRAY[random(), random()] AS x FROM generate_series(1, 200000)');

my ($in, $out, $err) = ('', '', '');
my $psql = IPC::Run::start(
	[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=0', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(180));

# Send a statement; wait for the line that follows it.
sub ask
{
	my ($sql) = @_;

	$out = '';
	$in .= "$sql\n\\echo answered\n";
	$psql->pump until $out =~ /answered\n/;
	$out =~ s/answered\n//;
	chomp $out;
	return $out;
}

my $pid = ask('SELECT pg_backend_pid();');
my $memory = 'SELECT sum(total_bytes) FROM pg_backend_memory_contexts;';
my $before = ask("SELECT length(kmeans_fit(x, 2)) FROM (SELECT x FROM points LIMIT 100) AS p; $memory");
my @late;

for my $try (1 .. $tries)
{
	$err = '';
	$out = '';
	$in .= "SELECT kmeans_fit(x, 3000, kmeans_options(n_init => 100)) FROM points;\n\\echo answered\n";
	$psql->pump_nb;
	$node->poll_query_until('postgres', "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $pid");
	sleep(rand(1.5));
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	my $begin = time;
	$psql->pump until $out =~ /answered\n/;
	push @late, 1000 * (time - $begin);
	$psql->pump until $err =~ /ERROR/;
	like($err, qr/canceling statement due to user request/, 'the fit was cancelled');
}
note('cancelled after ' . join(', ', map { sprintf('%.0f', $_) } @late) . ' ms');
cmp_ok(max(@late), '<', $excused, 'pg_cancel_backend is answered');

my $after = ask($memory);
$before =~ s/.*\n//s;
cmp_ok($after, '<', $before + 4e6, 'cancelled fits leave no memory behind');
is(ask('SELECT (cluster_info(kmeans_fit(x, 2))).rows FROM points;'), '200000', 'and the session fits on');
$in .= "\\q\n";
$psql->finish;

$node->stop;
done_testing();

# A fit that ends with the server, or with its process: nothing is left of it, and the models that
# were committed are there.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
restart_after_crash = on
work_mem = '64kB'
max_parallel_workers_per_gather = 0
END
$node->start;

$node->safe_psql('postgres', <<'END');
CREATE EXTENSION clustering;
CREATE TABLE points AS SELECT i AS id, ARRAY[i * 7919 % 10007, i * 104729 % 1299709]::double precision[] AS x FROM generate_series(1, 200000::bigint) AS i;
CREATE TABLE models AS SELECT kmeans_fit(x, 5) AS m FROM points WHERE id <= 1000;
CREATE INDEX by_label ON points (cluster_predict(kmeans_model('{{0,0},{9000,1000000}}'), x));
ANALYZE;
END
my $committed = 'SELECT md5(m), cluster_info(m) FROM models; SELECT cluster_predict(m, x), count(*) FROM points, models GROUP BY 1 ORDER BY 1;'
  . " SET enable_seqscan = off; SELECT count(*) FROM points WHERE cluster_predict(kmeans_model('{{0,0},{9000,1000000}}'), x) = 2";
my $expected = $node->safe_psql('postgres', $committed);

sub temporary_files
{
	my @files = glob($node->data_dir . '/base/pgsql_tmp/*');

	return scalar(@files);
}

# Fits that take minutes, with temporary files open: those of the query, and of the rows and the fit
# where these are more than work_mem, or seen by workers.
my $source = 'WITH p AS MATERIALIZED (SELECT x FROM points) SELECT x FROM p';
my $long = 'SELECT kmeans_fit(x, 2000, kmeans_options(n_init => 1000)) FROM points';
my %fits = (
	'a fit with its rows in files' => $long,
	'a fit with workers' => "SET work_mem = '1GB'; SET clustering.max_parallel_workers = 2; $long",
	'a fit over a query' => "SELECT kmeans_fit_query('$source', 1000, '{\"n_init\": 1000}')",
	'a step' => 'WITH p AS MATERIALIZED (SELECT p.x FROM points AS p, generate_series(1, 300)) SELECT cluster_step(x, m) FROM p, models');

my $count = 0;

# Begin one, in a transaction that has stored a model; returns the session and its process.
sub begin_fit
{
	my ($fit) = @_;
	my $name = 'fit ' . $count++;
	my $running = "FROM pg_stat_activity WHERE application_name = '$name' AND backend_type = 'client backend' AND state = 'active' AND query ~ 'points'";
	my $session = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SET application_name = '$name'", '-c', 'BEGIN',
			'-c', 'INSERT INTO models SELECT m FROM models', '-c', $fit ],
		'<', \'', '>', \my $out, '2>', \my $err, IPC::Run::timeout(180));

	$node->poll_query_until('postgres', "SELECT count(*) > 0 $running") or die 'no fit began';
	for (1 .. 600)
	{
		last if temporary_files() > 0;
		sleep(0.1);
	}
	sleep(1);
	return ($session, $node->safe_psql('postgres', "SELECT pid $running"));
}

sub check_recovered
{
	my ($what) = @_;

	$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
	is($node->safe_psql('postgres', $committed), $expected, "$what: what was committed is there, and nothing else");
	is(temporary_files(), 0, "$what: no temporary file is left");
}

sub end_fit
{
	my ($pid, $end) = @_;

	if ($end eq 'SIGKILL')
	{
		kill('KILL', $pid);
	}
	elsif ($end eq 'SIGKILL of a worker')
	{
		kill('KILL', $node->safe_psql('postgres', "SELECT min(pid) FROM pg_stat_activity WHERE leader_pid = $pid"));
	}
	elsif ($end eq 'pg_terminate_backend')
	{
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)");
	}
	else
	{
		$node->stop($end eq 'immediate shutdown' ? 'immediate' : 'fast');
		$node->start;
	}
}

for my $name (sort keys %fits)
{
	for my $end ('immediate shutdown', $name =~ /workers/ ? 'SIGKILL of a worker' : 'SIGKILL',
		$name =~ /files/ ? ('fast shutdown', 'pg_terminate_backend') : ())
	{
		my ($session, $pid) = begin_fit($fits{$name});

		cmp_ok(temporary_files(), '>', 0, "$name has temporary files");
		end_fit($pid, $end);
		$session->finish;
		check_recovered("$name, $end");
	}
}

SKIP:
{
	skip 'amcheck is not installed', 1
	  if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'}) eq '0';
	is($node->safe_psql('postgres', q{CREATE EXTENSION amcheck; SELECT bt_index_check('by_label', true)}), '', 'the index is whole');
}

$node->stop;
done_testing();

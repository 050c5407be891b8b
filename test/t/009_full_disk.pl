# A disk that is really full while the rows of a fit, and the fit itself, are written to temporary
# files: a plain error wherever it happens, nothing left of the files, and a session that goes on.
#
# The disk is a small tmpfs in a mount namespace of the server's own, which needs no privilege where
# the kernel lets everyone make one; elsewhere the test is skipped.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;

my @namespace = qw(unshare --user --map-current-user --keep-caps --mount);
my $disk = PostgreSQL::Test::Utils::tempdir_short();
my $mount = "mount -t tmpfs -o size=24M,mode=0777 tmpfs $disk";

plan skip_all => 'no mount namespace may be made here' if system("@namespace sh -c '$mount' >/dev/null 2>&1") != 0;

my $node = PostgreSQL::Test::Cluster->new('full');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
work_mem = '64kB'
max_parallel_workers_per_gather = 0
client_min_messages = error
END

# pg_ctl finds a server that it has not started.
my $data = $node->data_dir;
my $logfile = $node->logfile;
my $server = IPC::Run::start([ @namespace, 'sh', '-c', "$mount && mkdir $disk/files && exec postgres -D '$data' >>'$logfile' 2>&1" ]);

$node->poll_query_until('postgres', 'SELECT true') or BAIL_OUT('the server does not start');
$node->safe_psql('postgres', $_)
  for 'CREATE EXTENSION clustering', "CREATE TABLESPACE small LOCATION '$disk/files'", <<'END';
CREATE TABLE points AS SELECT ARRAY[i * 7919 % 10007, i * 104729 % 1299709, i]::float8[] AS x,
	((i * 7919) % 1048576)::integer::bit(20)::bit varying || repeat('1', 108)::bit varying AS bits, i % 3 + 0.5 AS w
FROM generate_series(1, 100000::bigint) AS i;
ANALYZE points;
END

my $session = Session->new($node);
$session->ask("SET temp_tablespaces = small; SET statement_timeout = '300s'; SET clustering.progress_interval = 0;");

# Leave so many megabytes of the disk.
sub leave
{
	my ($megabytes) = @_;

	$node->safe_psql('postgres', <<"END");
COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; rm -f $disk/ballast; dd if=/dev/zero of=$disk/ballast bs=1M count=@{[ 24 - $megabytes ]} 2>/dev/null'
END
}

my $left = q{SELECT count(*) FROM pg_ls_tmpdir((SELECT oid FROM pg_tablespace WHERE spcname = 'small'));};
my $once = q{'{"max_iter": 2, "init": "random", "n_init": 1}'};
my @fits = (
	"kmeans_fit(x, 3, $once)", "kmeans_fit(x, 3, $once, w)", q{kmeans_fit(x, 3, '{"beta": 1e-9, "max_iter": 2, "init": "random"}')},
	"kmedians_fit(x, 3, $once, w)", "gmm_fit(x, 3, $once)", "bernoulli_fit(bits, 3, $once)");

# With workers there are other files in the same places.
for my $workers (0, 2)
{
	for my $fit ($workers > 0 ? @fits[ 1, 3 ] : @fits)
	{
		my $call = "SELECT md5($fit) FROM points;";
		my %errors;

		$session->ask("SET clustering.max_parallel_workers = 0; SET work_mem = '1GB';");
		leave(24);
		my $expected = $session->ask($call);
		$session->ask("SET clustering.max_parallel_workers = $workers; SET work_mem = '64kB';");
		for my $megabytes (1, 3, 6)
		{
			leave($megabytes);
			my $answer = $session->ask($call);
			my $plain = $session->{err} =~ /53100: could not write to a temporary file of a fit: No space left on device/;

			$errors{$megabytes} = 1 if $plain;
			ok($plain || ($answer eq $expected && $session->{err} eq ''), "$fit, $workers workers, $megabytes MB: a plain error, or the model")
			  or diag($session->{err});
			is($session->ask($left), '0', 'no file is left');
		}
		ok($errors{1}, "$fit, $workers workers: the disk is full while rows are collected");
		cmp_ok(scalar(keys %errors), '>', 1, '... and later, too');
		leave(24);
		is($session->ask($call), $expected, '... and with room there is a model, in the same session');
	}
}
is($session->ask(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker';}), '0', 'no workers are left');
$session->quit;

system_log('pg_ctl', '-D', $data, '-m', 'fast', '-w', 'stop');
$server->finish;
done_testing();

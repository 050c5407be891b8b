# More rows than memory: how much of them stays resident, and many groups that all have to write theirs
# out, in a process that may have few files open.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('spill');
$node->init;
$node->append_conf('postgresql.conf', <<'END');
max_files_per_process = 64
clustering.max_parallel_workers = 0
max_parallel_workers_per_gather = 0
clustering.progress_interval = 0
client_min_messages = error
jit = off
END
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION clustering');

# ---- many groups ----

# The groups have the same rows, each more than a megabyte of them, in turn: all are begun before any has
# many rows, all have to write theirs out, and all have the same model.
my ($groups, $rows) = (300, 140);

sub fits
{
	my ($algorithm, $groups, $weight) = @_;

	return <<"END";
SELECT g, md5(${algorithm}_fit(array_fill((i % 7)::float8, ARRAY[1100]), 2, '{}', $weight)) AS m
FROM generate_series(1, $rows) AS i, generate_series(1, $groups) AS g GROUP BY g
END
}

my $hashed = "SET work_mem = '16MB'; SET enable_sort = off;";

for my $fit ([ 'kmeans', '1' ], [ 'kmedians', '1 + i % 3' ])
{
	my ($algorithm, $weight) = @$fit;
	my $alone = $node->safe_psql('postgres',
		"SET work_mem = '1GB'; SELECT m FROM (" . fits($algorithm, 1, $weight) . ') AS f');

	is( $node->safe_psql('postgres',
			"$hashed SELECT count(*), count(DISTINCT m), min(m) FROM (" . fits($algorithm, $groups, $weight) . ') AS f'),
		"$groups|1|$alone",
		"$algorithm: $groups groups in files have the model of one in memory");
}

my $plan = $node->safe_psql('postgres',
	"$hashed EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) " . fits('kmeans', $groups, 1));
like($plan, qr/HashAggregate.*Batches: 1 /s, 'all of them at the same time');
my ($written) = $plan =~ /temp .*written=(\d+)/;
cmp_ok($written, '>', 0.95 * $groups * $rows * 8800 / 8192, 'all of them were written out');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()'), '0', 'no files are left');

# ---- resident memory ----

$node->safe_psql('postgres', <<'END');
CREATE TABLE point AS
SELECT ARRAY[a, b, c, r, r * r, r + a, r - b, r * c] AS x
FROM generate_series(1, 200000) AS i, generate_series(1.1, 10) AS s, sqrt(s::float8) AS r,
	LATERAL (SELECT (i * 7919) % 10007 / 100.0 - 30, (i * 104729::bigint) % 7 * 10 + (i * 31) % 101 / 50.0,
		(i * 15485863::bigint) % 1009 / 250.0) AS v (a, b, c);
END

# Megabytes of the process, but for the server's shared buffers.
sub resident_peak
{
	my ($memory, $call) = @_;
	my $out = $node->safe_psql('postgres', <<"END");
SET work_mem = '$memory'; SELECT length($call) > 0 FROM point;
SELECT substring(s FROM 'VmHWM:\\s+(\\d+)')::int - substring(s FROM 'RssShmem:\\s+(\\d+)')::int
FROM pg_read_file('/proc/' || pg_backend_pid() || '/status') AS s;
END
	return (split /\n/, $out)[-1] / 1024;
}

SKIP:
{
	skip 'no /proc to see resident memory in', 4 unless -r '/proc/self/status';
	my @calls = (
		q{kmeans_fit(x, 5, '{"max_iter": 3}')},
		q{kmedians_fit(x, 5, '{"max_iter": 2}')},
		q{gmm_fit(x, 3, '{"max_iter": 2}')});

	for my $call (@calls)
	{
		my $small = resident_peak('4MB', $call);

		note("$call: at most $small MB");
		cmp_ok($small, '<', 150, "$call: resident memory stays small with rows in files");
	}
	my $large = resident_peak('2GB', $calls[1]);
	note("in memory: $large MB");
	cmp_ok($large, '>', 180, '... as it would not in memory');
}

$node->stop;
done_testing();

# Not a bit of a model depends on how it was computed: test/sql/golden.sql, with its hashes of models and of
# what they answer, comes out as in expected/golden.out under every setting of the list below.

use strict;
use warnings;

use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# What must make no difference, as options of the session.
my $parallel = '-c max_parallel_workers_per_gather=4 -c parallel_setup_cost=0 -c parallel_tuple_cost=0'
  . ' -c min_parallel_table_scan_size=0';
my @settings = (
	[ 'as it comes', '' ],
	[ 'without vectors, in one process', '-c clustering.instruction_set=base -c max_parallel_workers_per_gather=0' ],
	[ 'AVX2, parallel plans', "-c clustering.instruction_set=avx2 $parallel" ],
	[ 'AVX-512', '-c clustering.instruction_set=avx512' ],
	[ 'AVX-512 with products of bytes', '-c clustering.instruction_set=avx512vnni' ],
	[ 'little memory', '-c work_mem=64kB' ],
	[ 'workers, without vectors', '-c clustering.instruction_set=base -c clustering.max_parallel_workers=3' ],
	[ 'workers, little memory', '-c clustering.max_parallel_workers=2 -c work_mem=64kB' ],
	[ 'compiled just in time', '-c jit=on -c jit_above_cost=0 -c jit_inline_above_cost=0 -c jit_optimize_above_cost=0' ]);

my $node = PostgreSQL::Test::Cluster->new('determinism');
$node->init;
$node->append_conf('postgresql.conf', "max_parallel_workers = 8\nmax_worker_processes = 12\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION clustering');

$ENV{PG_ABS_SRCDIR} = getcwd() . '/test';

my $expected = slurp_file('expected/golden.out');

# Whether the CPU has the instruction set that the options ask for, if they do.
sub can
{
	my ($options) = @_;
	my ($wanted) = $options =~ /instruction_set=(\w+)/ or return 1;

	local $ENV{PGOPTIONS} = $options;
	$node->psql('postgres', "LOAD 'clustering'; SHOW clustering.instruction_set", stdout => \my $used, stderr => \my $warning);
	return $used eq $wanted;
}

for my $setting (@settings)
{
	my ($name, $options) = @$setting;

  SKIP:
	{
		skip "$name: not on this CPU", 1 unless can($options);
		local $ENV{PGOPTIONS} = $options;
		my ($out, $err) = run_command(
			[ 'psql', '-X', '-a', '-q', '-d', $node->connstr('postgres'), '-f', 'test/sql/golden.sql' ]);
		ok($out eq $expected =~ s/\n\z//r, "$name: the same bytes")
		  or diag(differences($expected, $out), $err);
	}
}

# The lines that differ, of the first few.
sub differences
{
	my @expected = split /\n/, $_[0];
	my @found = split /\n/, $_[1];
	my @different = grep { ($expected[$_] // '') ne ($found[$_] // '') } 0 .. $#expected;

	return join '', map { "$expected[$_]\n" . ($found[$_] // 'nothing') . "\n" } splice @different, 0, 5;
}

# The setting is checked, and is for a whole session.
my ($code, $out, $err) = $node->psql('postgres', "LOAD 'clustering'; SET clustering.instruction_set = 'base'");
like($err, qr/cannot be set after connection start/, 'an instruction set is for a whole session');
{
	local $ENV{PGOPTIONS} = '-c clustering.instruction_set=mmx';
	($code, $out, $err) = $node->psql('postgres', "LOAD 'clustering'; SHOW clustering.instruction_set");
	is($out, 'best', 'another name is not taken');
	like($err, qr/invalid value for parameter "clustering.instruction_set": "mmx"/, 'and said to be invalid');
}

$node->stop;
done_testing();

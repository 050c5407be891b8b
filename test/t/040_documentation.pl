# What the manual shows runs, and prints what the manual says: the blocks of SQL of each page, in their
# order, in a database of the page's own.  Output stands in the block that follows at once.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('documentation');
$node->init;
$node->start;

# Tables that a page takes for granted.
my %given = (
	'README.md' => <<'END',
CREATE TABLE measurements AS SELECT i AS id, ARRAY[i % 3 * 10, i % 7] AS x FROM generate_series(1, 100) AS i;
CREATE TABLE customers AS SELECT *, CASE WHEN id % 2 = 0 THEN 'east' ELSE 'west' END AS region, 1 + id % 3 AS weight
FROM measurements;
END
	'doc/scaling.md' => <<'END',
CREATE TABLE points AS SELECT ARRAY[i % 8 * 10, i % 7]::float8[] AS x FROM generate_series(1, 1000) AS i;
CREATE TABLE documents AS SELECT ARRAY[i, i % 2]::real[] AS embedding, 'en' AS language FROM generate_series(1, 300) AS i;
CREATE TABLE payments AS SELECT exp(i % 8 * 2 + sin(i))::numeric AS amount, i % 8 * 3 + cos(7 * i) AS hour, 1 AS weight
FROM generate_series(1, 1000) AS i;
END
);

# The blocks of a page: where they begin, the SQL, and what it prints if that is shown.
sub blocks
{
	my ($page) = @_;
	my $text = slurp_file($page);
	my @blocks;

	while ($text =~ /^```sql\n(.*?)^```\n(?:```\n(.*?)^```\n)?/msg)
	{
		my ($sql, $shown, $before) = ($1, $2, substr($text, 0, $-[0]));

		push @blocks, { line => 1 + ($before =~ tr/\n//), sql => $sql, shown => $shown };
	}
	return @blocks;
}

# Without blanks at the ends of lines and empty lines at the end, which no reader sees.
sub visible
{
	my ($text) = @_;

	$text =~ s/[ \t]+$//mg;
	return $text =~ s/\n+\z//r;
}

for my $page ('README.md', sort glob('doc/*.md'))
{
	my @blocks = blocks($page) or next;
	my $database = $page =~ s{^(?:doc/)?(\w+).*}{\L$1}r;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION clustering;' . ($given{$page} // ''));
	for my $block (@blocks)
	{
		my $name = "$page, line $block->{line}";
		my ($out, $err);

		$node->safe_psql($database, 'DROP EXTENSION clustering') if $block->{sql} =~ /^CREATE EXTENSION/;
		IPC::Run::run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database) ],
			'<', \$block->{sql}, '>', \$out, '2>', \$err);
		is($err, '', "$name: no complaints");
		is(visible($out), visible($block->{shown}), "$name: the output") if defined $block->{shown};
	}
}

$node->stop;
done_testing();

# Models survive, and so does what is made with them: pg_dump and restore, binary copies, a restart,
# pg_upgrade.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE source');

# ---- a database that uses models everywhere ----

$node->safe_psql('source', <<'END');
CREATE SCHEMA tools;
CREATE EXTENSION clustering SCHEMA tools;
SET search_path = public, tools;
CREATE TABLE points AS
SELECT i AS id, ARRAY[i * 7919 % 10007, i * 104729 % 1299709]::double precision[] AS x FROM generate_series(1, 2000) AS i;
CREATE TABLE models (name text PRIMARY KEY, m bytea);
INSERT INTO models
SELECT 'k' || k, kmeans_fit(x, k) FROM points, (VALUES (1), (5), (40)) AS v (k) GROUP BY k;
INSERT INTO models SELECT 'soft', kmeans_fit(x, 3, '{"beta": 1e-12, "max_iter": 10}') FROM points;
INSERT INTO models VALUES ('made', kmeans_model('{{1,2},{3,4}}'));
CREATE TABLE documents AS SELECT name, cluster_to_json(m) AS document FROM models;
CREATE VIEW components AS SELECT name, c.* FROM models, cluster_components(m) AS c;
CREATE MATERIALIZED VIEW labels AS
SELECT name, id, cluster_predict(m, x) AS label FROM models, points;
DO $$
BEGIN
	EXECUTE format('ALTER TABLE points ADD label integer GENERATED ALWAYS AS (cluster_predict(%L::bytea, x)) STORED',
		(SELECT m FROM models WHERE name = 'k5'));
	EXECUTE format('CREATE INDEX by_distance ON points (cluster_distance(%L::bytea, x))', (SELECT m FROM models WHERE name = 'k40'));
END $$;
END

# What both databases must agree on.
my $summary = <<'END';
SET search_path = public, tools;
SELECT name, md5(m), (cluster_info(m)).objective FROM models ORDER BY name;
SELECT name, md5(string_agg(c::text, ',' ORDER BY cluster)) FROM components AS c GROUP BY name ORDER BY name;
SELECT name, cluster_from_json(document) = m FROM documents JOIN models USING (name) ORDER BY name;
SELECT name, md5(string_agg(label::text, ',' ORDER BY id)) FROM labels GROUP BY name ORDER BY name;
SELECT label, count(*) FROM points GROUP BY label ORDER BY label;
SELECT bool_and(points.label = labels.label) FROM points JOIN labels USING (id) WHERE name = 'k5';
END
my $expected = $node->safe_psql('source', $summary);
like($expected, qr/\nt$/, 'labels agree before');

my $backup = PostgreSQL::Test::Utils::tempdir();
for my $format ('plain', 'custom')
{
	my $file = "$backup/$format";

	$node->command_ok([ 'pg_dump', "--format=$format", "--file=$file", 'source' ], "pg_dump, $format");
	$node->safe_psql('postgres', "CREATE DATABASE $format");
	$node->command_ok(
		$format eq 'plain'
		? [ 'psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', "--file=$file", $format ]
		: [ 'pg_restore', "--dbname=$format", '--exit-on-error', $file ],
		"restore, $format");
	is($node->safe_psql($format, $summary), $expected, "$format: models, labels and views are the same");
	is( $node->safe_psql($format, 'SET search_path = public, tools; REFRESH MATERIALIZED VIEW labels; ' . $summary),
		$expected,
		"$format: and so is what the models answer");
}

# A restored model goes on where it was: one more fit from it has nothing to do.
is( $node->safe_psql(
		'custom', <<'END'), 't', 'a restored model is a start for another fit');
SET search_path = public, tools;
SELECT bool_and((cluster_info(again)).iterations = 1)
FROM (SELECT kmeans_fit(x, m) AS again FROM points, models WHERE name LIKE 'k%' GROUP BY name, m) AS f;
END

# ---- binary copies ----

$node->safe_psql('source', "COPY models TO '$backup/models.bin' (FORMAT binary)");
$node->safe_psql('source',
	"CREATE TABLE copied (LIKE models); COPY copied FROM '$backup/models.bin' (FORMAT binary)");
is($node->safe_psql('source', 'SELECT count(*) FROM models JOIN copied USING (name, m)'), '5', 'a binary copy is the same');

# ---- the index ----

# In each database, with this model's distances: the index is used, has all rows where they belong,
# and finds what a scan does; also after it was built anew.
my $k40 = $node->safe_psql('source', q{SELECT m FROM models WHERE name = 'k40'});
my $near = "FROM points WHERE cluster_distance('$k40', x) < 5000";
my $path = 'SET search_path = public, tools;';
my $indexed = "$path SET enable_seqscan = off; SET enable_bitmapscan = off;";
my $scanned = "$path SET enable_indexscan = off; SET enable_bitmapscan = off;";
my $amcheck = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'});

sub check_index
{
	my ($server, $database, $when) = @_;
	my $scan = $server->safe_psql($database, "$scanned SELECT array_agg(id ORDER BY id) $near");

	like($server->safe_psql($database, "$indexed EXPLAIN SELECT id $near"), qr/Index Scan using by_distance/, "$when: the index is used");
	like($scan, qr/^\{\d+,.*\d\}$/, "$when: some rows are near");
	is($server->safe_psql($database, "$indexed SELECT array_agg(id ORDER BY id) $near"), $scan, "$when: the index finds them");
  SKIP:
	{
		skip 'amcheck is not installed', 1 if $amcheck eq '0';
		is($server->safe_psql($database, q{CREATE EXTENSION IF NOT EXISTS amcheck; SELECT bt_index_check('by_distance', true)}),
			'', "$when: the index is whole");
	}
}

check_index($node, 'source', 'at first');
$node->safe_psql('source', "$path REINDEX INDEX by_distance");
check_index($node, 'source', 'after REINDEX');
check_index($node, 'plain', 'after a restore');

# ---- a restart ----

$node->restart;
is($node->safe_psql('source', $summary), $expected, 'after a restart everything is as before');
check_index($node, 'source', 'after a restart');

# ---- pg_upgrade ----

# What it does to a new major version's cluster, it does to one of the same: files are kept, and
# the catalogue is restored.
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$node->stop;
my $bindir = qx(pg_config --bindir);
chomp $bindir;
chdir PostgreSQL::Test::Utils::tempdir();
$node->command_ok(
	[ 'pg_upgrade', '--no-sync', '--old-datadir', $node->data_dir, '--new-datadir', $new->data_dir,
		'--old-bindir', $bindir, '--new-bindir', $bindir, '--socketdir', $new->host,
		'--old-port', $node->port, '--new-port', $new->port ],
	'pg_upgrade');
$new->start;
is($new->safe_psql('source', $summary), $expected, 'after pg_upgrade everything is as before');
check_index($new, 'source', 'after pg_upgrade');

$new->stop;
done_testing();

# Models survive: pg_dump and restore, binary copies, a restart, and an extension in another schema.

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

# ---- a restart ----

$node->restart;
is($node->safe_psql('source', $summary), $expected, 'after a restart everything is as before');
is( $node->safe_psql(
		'source', <<'END'), 't', 'the index finds the same rows');
SET search_path = public, tools;
SET enable_seqscan = off;
SELECT array_agg(id ORDER BY id) = (SELECT array_agg(id ORDER BY id) FROM points, models
	WHERE name = 'k40' AND cluster_distance(m, x) < 20000)
FROM points, models WHERE name = 'k40' AND cluster_distance(m, x) < 20000;
END

# ---- the extension itself ----

# It's trusted: an owner of a database needs no superuser.  And it can move.
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE DATABASE app OWNER app');
is( $node->safe_psql(
		'app', <<'END', extra_params => [ '-U', 'app' ]), '1', 'an owner of a database installs and uses it');
CREATE EXTENSION clustering;
SELECT cluster_predict(kmeans_fit(ARRAY[i], 1), ARRAY[3]) FROM generate_series(1, 9) AS i;
END
is( $node->safe_psql(
		'app', <<'END'), '1', 'it moves to another schema');
CREATE SCHEMA elsewhere;
ALTER EXTENSION clustering SET SCHEMA elsewhere;
SELECT elsewhere.cluster_predict(elsewhere.kmeans_fit(ARRAY[i], 1), ARRAY[3]) FROM generate_series(1, 9) AS i;
END
$node->safe_psql('app', 'DROP EXTENSION clustering');
is( $node->safe_psql('app', q{SELECT count(*) FROM pg_proc WHERE proname ~ '^(cluster|kmeans)_'}),
	'0', 'and leaves nothing behind');

$node->stop;
done_testing();

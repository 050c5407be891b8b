# Models on other servers: a standby predicts and fits as the primary does, and a table of models is
# replicated like any other.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Everything;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 'logical');
$primary->start;
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;

$primary->safe_psql('postgres', <<'END');
CREATE EXTENSION clustering;
CREATE TABLE points AS
SELECT i AS id, ARRAY[i * 7919 % 10007, i * 104729 % 1299709]::double precision[] AS x FROM generate_series(1, 30000::bigint) AS i;
CREATE TABLE models (name text PRIMARY KEY, m bytea);
INSERT INTO models SELECT 'k' || k, kmeans_fit(x, k) FROM points, (VALUES (1), (5), (40)) AS v (k) WHERE id <= 2000 GROUP BY k;
INSERT INTO models SELECT 'gmm', gmm_fit(x, 2) FROM points WHERE id <= 2000;
-- stored out of line
INSERT INTO models SELECT 'large', kmeans_model(array_agg(ARRAY[i, sqrt(i)])) FROM generate_series(1, 3000) AS i;
DO $$
BEGIN
	EXECUTE format('CREATE INDEX by_distance ON points (cluster_distance(%L::bytea, x))', (SELECT m FROM models WHERE name = 'k40'));
END $$;
ANALYZE;
END

my $labels = <<'END';
SELECT name, md5(string_agg(cluster_predict(m, x)::text, ',' ORDER BY id)) FROM models, points WHERE id <= 1000 GROUP BY name ORDER BY name;
SELECT name, cluster_info(m) FROM models ORDER BY name;
END
my $fits = <<'END';
SELECT md5(kmeans_fit(x, 7)), md5(kmedians_fit(x, 3)) FROM points;
SELECT md5(kmeans_fit_query('SELECT x FROM points', 7));
SELECT md5(gmm_fit_query('SELECT x FROM points', 2, '{"max_iter": 3, "tol": 0}'));
SELECT md5(cluster_step(x, m)) FROM points, models WHERE name = 'k5';
END
my $from_index = <<'END';
SET enable_seqscan = off;
SELECT format('SELECT sum(id) FROM points WHERE cluster_distance(%L::bytea, x) < 3000', m) FROM models WHERE name = 'k40' \gset
SELECT :'format' ~ 'cluster_distance';
:format;
END

# ---- a standby ----

$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));
for my $query ($labels, $fits, $from_index, everything('public'))
{
	is($standby->safe_psql('postgres', $query), $primary->safe_psql('postgres', $query), 'a standby answers as the primary does');
}
like($standby->safe_psql('postgres', 'EXPLAIN ' . $primary->safe_psql('postgres',
	q{SELECT format('SELECT id FROM points WHERE cluster_distance(%L::bytea, x) < 10', m) FROM models WHERE name = 'k40'})),
	qr/by_distance/, 'from the index, too');
my ($result, $stdout, $stderr) = $standby->psql('postgres', 'INSERT INTO models SELECT \'mine\', kmeans_fit(x, 2) FROM points');
like($stderr, qr/cannot execute INSERT in a read-only transaction/, 'what it fits can only not be stored there');

# ---- logical copies ----

my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init;
$copy->start;
$copy->safe_psql('postgres', 'CREATE EXTENSION clustering; CREATE TABLE models (name text PRIMARY KEY, m bytea)');
$primary->safe_psql('postgres', 'CREATE PUBLICATION models FOR TABLE models');
$copy->safe_psql('postgres', sprintf(q{CREATE SUBSCRIPTION models CONNECTION '%s dbname=postgres' PUBLICATION models}, $primary->connstr));
$copy->wait_for_subscription_sync($primary, 'models');

my $models = 'SELECT name, md5(m), cluster_info(m) FROM models ORDER BY name';
is($copy->safe_psql('postgres', $models), $primary->safe_psql('postgres', $models), 'a subscriber gets the models there are');
$primary->safe_psql('postgres', <<'END');
INSERT INTO models SELECT 'new', bernoulli_fit(ARRAY[id % 2, id % 3 / 2], 2) FROM points WHERE id <= 500;
UPDATE models SET m = (SELECT kmeans_fit(x, 6) FROM points WHERE id <= 500) WHERE name = 'k5';
UPDATE models SET name = 'larger' WHERE name = 'large';
DELETE FROM models WHERE name = 'k1';
END
$primary->wait_for_catchup('models');
is($copy->safe_psql('postgres', $models), $primary->safe_psql('postgres', $models), 'and all that happens to them');
my $predict = q{SELECT name, cluster_predict(m, CASE name WHEN 'new' THEN ARRAY[1, 0] ELSE ARRAY[3, 4] END) FROM models ORDER BY name};
is($copy->safe_psql('postgres', $predict), $primary->safe_psql('postgres', $predict), 'and answers as the publisher does');

# ---- a standby takes over ----

$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql('postgres', q{INSERT INTO models SELECT 'mine', kmeans_fit(x, 2) FROM points RETURNING (cluster_info(m)).rows}),
	'30000', 'a promoted standby goes on');

$copy->stop;
$standby->stop;
done_testing();

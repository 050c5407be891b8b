# The extension comes, moves, is updated and goes: by whoever owns it, in sessions that have used
# it, and always to the same catalogue.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Everything;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# ---- an installation whose extensions can be changed ----

sub pg_config
{
	my ($what) = @_;
	my $answer = qx(pg_config --$what);

	chomp $answer;
	return $answer;
}

# Names in a folder.
sub names
{
	my ($folder) = @_;

	opendir(my $handle, $folder) or die "$folder: $!";
	return grep { !/^\.\.?$/ } readdir $handle;
}

# A server finds its files from where its program lies: the programs are copied, all else is linked.
sub copy_installation
{
	my $root = PostgreSQL::Test::Utils::tempdir();
	my %folder = map { $_ => pg_config($_) } qw(bindir pkglibdir sharedir);

	for my $what (sort keys %folder)
	{
		my $from = $folder{$what};

		system_or_bail('mkdir', '-p', "$root$from");
		if ($what eq 'bindir')
		{
			system_or_bail('cp', '-RL', "$from/.", "$root$from");
			next;
		}
		symlink("$from/$_", "$root$from/$_") for grep { $_ ne 'extension' } names($from);
	}
	my $extensions = "$folder{sharedir}/extension";
	mkdir "$root$extensions";
	symlink("$extensions/$_", "$root$extensions/$_") for names($extensions);
	return ("$root$folder{bindir}", "$root$extensions");
}

my ($bindir, $extensions) = copy_installation();
(my $prefix = $bindir) =~ s{/bin$}{};
my $node = PostgreSQL::Test::Cluster->new('extension', install_path => $prefix);
$node->init;
$node->start;

my $database = 'postgres';

sub answer
{
	my ($sql, @options) = @_;

	return $node->safe_psql($database, $sql, @options);
}

sub new_database
{
	($database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
}

my $left = q{SELECT count(*) FROM pg_proc WHERE probin LIKE '%clustering%'};

# ---- come and go ----

new_database('session');
is(answer("CREATE EXTENSION clustering; " . not_called()), '', 'every function is called below');
my $expected = answer(everything('public'));

# Models are cached and plans are kept by sessions; a new extension under the same names is used.
is(answer(<<'END'), "2\n2\nt\nf\n2\n2\nt", 'a session survives DROP EXTENSION and uses the next one');
CREATE TABLE points AS SELECT ARRAY[i, i % 7]::float8[] AS x FROM generate_series(1, 100) AS i;
CREATE TABLE models AS SELECT kmeans_fit(x, 2) AS m FROM points;
CREATE FUNCTION label(x float8[]) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RETURN cluster_predict((SELECT m FROM models), x); END $$;
CREATE FUNCTION fits() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN kmeans_fit_query('SELECT x FROM points', 2) = kmeans_fit(x, 2) FROM points;
EXCEPTION WHEN undefined_function THEN
	RETURN false;
END $$;
PREPARE labels AS SELECT count(DISTINCT cluster_predict(m, x)) FROM points, models;
EXECUTE labels;
SELECT count(DISTINCT label(x)) FROM points;
SELECT fits();
DROP EXTENSION clustering;
SELECT fits();
CREATE SCHEMA other;
CREATE EXTENSION clustering SCHEMA other;
SET search_path = public, other;
EXECUTE labels;
SELECT count(DISTINCT label(x)) FROM points;
SELECT fits();
END
is(answer(everything('other')), $expected, 'which answers the same');
answer('DROP EXTENSION clustering');
is(answer($left), '0', 'and leaves nothing behind');
like(
	($node->psql($database, 'CREATE EXTENSION clustering; CREATE INDEX by_label ON points (cluster_predict(kmeans_model(\'{{1,1},{9,9}}\'), x)); DROP EXTENSION clustering;'))[2],
	qr/cannot drop extension clustering because other objects depend on it/,
	'what depends on it is not lost by accident');
answer('DROP EXTENSION clustering CASCADE');
is(answer(q{SELECT count(*) FROM pg_class WHERE relname = 'by_label'}), '0', 'but goes with it when asked to');

# ---- anywhere ----

new_database('anywhere');
answer('CREATE EXTENSION clustering; CREATE SCHEMA "Other place"; CREATE SCHEMA "quo""ted"');
for my $schema ('"Other place"', '"quo""ted"', 'public')
{
	answer("ALTER EXTENSION clustering SET SCHEMA $schema");
	is(answer("SET search_path = ''; " . everything($schema)), $expected, "everything works in schema $schema");
}

# What was made before keeps working after: views, indexes, generated columns, prepared statements.
is(answer(<<'END'), "100\n100\n50\nt", 'and so does what was made before the move');
SET search_path = public, "Other place";
CREATE TABLE points AS SELECT ARRAY[i] AS x FROM generate_series(1, 100) AS i;
ALTER TABLE points ADD label integer GENERATED ALWAYS AS (cluster_predict(kmeans_model('{{0},{101}}'), x)) STORED;
CREATE INDEX by_label ON points (cluster_predict(kmeans_model('{{0},{101}}'), x));
CREATE VIEW labels AS SELECT cluster_predict(kmeans_model('{{0},{101}}'), x) AS label FROM points;
PREPARE labels AS SELECT count(cluster_predict(kmeans_model('{{0},{101}}'), x)) FROM points;
EXECUTE labels;
ALTER EXTENSION clustering SET SCHEMA "Other place";
EXECUTE labels;
SELECT count(*) FROM labels WHERE label = 2;
INSERT INTO points (x) VALUES ('{90}') RETURNING label = 2;
END

# ---- by whom ----

# Trusted: who may create in the database needs to be no more than that.
answer('CREATE ROLE app LOGIN; CREATE ROLE stranger LOGIN');
new_database('app');
answer('GRANT CREATE ON DATABASE app TO app');
my @app = (extra_params => [ '-U', 'app' ]);
answer('CREATE SCHEMA mine; CREATE EXTENSION clustering SCHEMA mine', @app);
is(answer(q{SELECT rolname, rolsuper FROM pg_extension JOIN pg_roles AS r ON r.oid = extowner WHERE extname = 'clustering'}),
	'app|f', 'an ordinary role installs it');
is(answer(everything('mine'), @app), $expected, 'and uses all of it');
answer('GRANT USAGE ON SCHEMA mine TO stranger', @app);
is(answer(everything('mine'), extra_params => [ '-U', 'stranger' ]), $expected, 'as do others');
like(($node->psql($database, 'DROP EXTENSION clustering', extra_params => [ '-U', 'stranger' ]))[2], qr/must be owner of extension/, 'who may not drop it');
answer('DROP EXTENSION clustering', @app);
is(answer($left), '0', 'but its owner may');
like(($node->psql($database, 'CREATE EXTENSION clustering', extra_params => [ '-U', 'stranger' ]))[2], qr/permission denied/, 'a stranger may not install it');

# ---- updates ----

# All that the catalogue says of the extension's objects, but for their numbers.
my $catalogue = <<'END';
SELECT identity, to_jsonb(p) - '{oid,proargdefaults}'::text[], pg_get_expr(proargdefaults, 0), to_jsonb(a) - 'aggfnoid', description, initprivs
FROM pg_depend AS d CROSS JOIN pg_identify_object(classid, objid, objsubid)
LEFT JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid
LEFT JOIN pg_aggregate AS a ON a.aggfnoid = p.oid
LEFT JOIN pg_description AS c ON c.classoid = d.classid AND c.objoid = d.objid
LEFT JOIN pg_init_privs AS i ON i.classoid = d.classid AND i.objoid = d.objid
WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'clustering') AND deptype = 'e'
UNION ALL
SELECT 'the extension', to_jsonb(e) - 'oid', obj_description(oid, 'pg_extension'), NULL, NULL, NULL FROM pg_extension AS e WHERE extname = 'clustering'
ORDER BY 1
END

# The catalogue after the statements, in a database of its own.
sub catalogue_after
{
	my ($sql) = @_;
	my $result;

	new_database('update');
	$result = answer("$sql; $catalogue");
	$database = 'postgres';
	answer('DROP DATABASE update');
	return $result;
}

my $fresh = catalogue_after('CREATE EXTENSION clustering');
cmp_ok(scalar(split(/\n/, $fresh)), '>', 100, 'a fresh install has a catalogue');
like($fresh, qr/fits a K-means model to rows, starting from k clusters/, 'with comments');
is(catalogue_after('CREATE EXTENSION clustering'), $fresh, 'always the same');

# From each version that can be installed by itself, along each path to the newest.
sub updated
{
	my ($version) = @_;

	return catalogue_after("CREATE EXTENSION clustering VERSION '$version'; ALTER EXTENSION clustering UPDATE");
}

my $newest = answer(q{SELECT default_version FROM pg_available_extensions WHERE name = 'clustering'});
my $versions = qq{SELECT v.version FROM pg_available_extension_versions AS v JOIN pg_extension_update_paths('clustering') AS p
	ON source = v.version AND target = '$newest' WHERE v.name = 'clustering' AND path IS NOT NULL};
is(updated($_), $fresh, "an update from $_ leads to the same catalogue") for split(/\n/, answer($versions));

# The same for two versions made up of the newest: without its last aggregate, with another comment
# and another cost.  One is updated well, the other forgets the comment.
my $script = slurp_file("$extensions/clustering--$newest.sql");
my ($last) = $script =~ /(CREATE AGGREGATE normalized_mutual_information\(.*)\z/s or die 'the last aggregate is another one now';
(my $older = $script) =~ s/\Q$last\E//;
my $comment = "'fits a K-means model to rows, starting from k clusters'";
$older =~ s/\Q$comment\E/'fits K-means'/ or die "no comment $comment";
$older =~ s/(CREATE FUNCTION kmeans_model\(.*?LANGUAGE C )/$1COST 77 /s or die 'no function kmeans_model';

my $mend = $last
  . 'ALTER FUNCTION kmeans_model(double precision[]) COST 1;';
my $mend_comment = "COMMENT ON AGGREGATE kmeans_fit(anyarray, integer) IS $comment;";
append_to_file("$extensions/clustering--0.0.1.sql", $older);
append_to_file("$extensions/clustering--0.0.1--$newest.sql", "$mend $mend_comment");
append_to_file("$extensions/clustering--0.0.2.sql", $older);
append_to_file("$extensions/clustering--0.0.2--$newest.sql", $mend);
isnt(catalogue_after(q{CREATE EXTENSION clustering VERSION '0.0.1'}), $fresh, 'an older version has another catalogue');
is(updated('0.0.1'), $fresh, 'a good update to the newest leads to the same');
isnt(updated('0.0.2'), $fresh, 'an update that forgets a comment is found out');
like(answer($versions), qr/^0\.0\.1$/m, 'and such versions are among those that are tried');

$node->stop;
done_testing();

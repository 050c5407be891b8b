# Bytes that nobody vouches for, in a running server: damaged models, with their hashes repaired, go
# through every function that takes a model, damaged states through those of a step, and damaged JSON
# through cluster_from_json and the options.  The server stays up, and each call ends in an answer that
# makes sense or in an error that the reference lists.
#
# With CLUSTERING_TEST_LONG in the environment there are many more of them; a seed may be given there,
# too, as CLUSTERING_TEST_SEED.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $long = exists $ENV{CLUSTERING_TEST_LONG};
my $seed = $ENV{CLUSTERING_TEST_SEED} || 1;
my $mutants = $long ? 20000 : 250;    # of each kind

# What a call may end in; 22P02 and 22P05 are jsonb's own.
my %documented = map { $_ => 1 } qw(0A000 22000 22003 22004 22023 2202E 22P02 22P05 42804 54000 XX001);

note("CLUSTERING_TEST_SEED=$seed");
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('hostile');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION clustering');

# ---- XXH64, once more ----

my @prime = (11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261);

sub times64 { use integer; return $_[0] * $_[1]; }
sub plus64 { use integer; return $_[0] + $_[1]; }
sub unsigned { return unpack('Q<', pack('q<', $_[0])); }

sub rotate
{
	my ($value, $bits) = (unpack('Q<', pack('q<', $_[0])), $_[1]);

	return (($value << $bits) & ~0) | ($value >> (64 - $bits));
}

sub hash_round { return times64(rotate(plus64($_[0], times64($_[1], $prime[1])), 31), $prime[0]); }

sub hash_merge { return plus64(times64(unsigned($_[0]) ^ unsigned(hash_round(0, $_[1])), $prime[0]), $prime[3]); }

sub hash_bytes
{
	my ($bytes, $start) = @_;
	my ($length, $at, $hash) = (length($bytes), 0, plus64($start, $prime[4]));

	if ($length >= 32)
	{
		my @lane = (plus64(plus64($start, $prime[0]), $prime[1]), plus64($start, $prime[1]), $start, plus64($start, times64(-1, $prime[0])));

		for (; $at + 32 <= $length; $at += 32)
		{
			my @word = unpack('Q<4', substr($bytes, $at, 32));

			$lane[$_] = hash_round($lane[$_], $word[$_]) for 0 .. 3;
		}
		$hash = plus64(plus64(rotate($lane[0], 1), rotate($lane[1], 7)), plus64(rotate($lane[2], 12), rotate($lane[3], 18)));
		$hash = hash_merge($hash, $_) for @lane;
	}
	$hash = plus64($hash, $length);
	for (; $at + 8 <= $length; $at += 8)
	{
		$hash = unsigned($hash) ^ unsigned(hash_round(0, unpack('Q<', substr($bytes, $at, 8))));
		$hash = plus64(times64(rotate($hash, 27), $prime[0]), $prime[3]);
	}
	if ($at + 4 <= $length)
	{
		$hash = unsigned($hash) ^ unsigned(times64(unpack('V', substr($bytes, $at, 4)), $prime[0]));
		$hash = plus64(times64(rotate($hash, 23), $prime[1]), $prime[2]);
		$at += 4;
	}
	for (; $at < $length; $at++)
	{
		$hash = unsigned($hash) ^ unsigned(times64(ord(substr($bytes, $at, 1)), $prime[4]));
		$hash = times64(rotate($hash, 11), $prime[0]);
	}
	for my $step ([ 33, $prime[1] ], [ 29, $prime[2] ], [ 32, 1 ])
	{
		$hash = times64(unsigned($hash) ^ (unsigned($hash) >> $step->[0]), $step->[1]);
	}
	return unsigned($hash);
}

# The length, identity and checksum of a model, made to match its bytes.
sub repair
{
	my ($model) = @_;

	return $model if length($model) < 128;
	substr($model, 24, 8) = pack('Q<', length($model));
	substr($model, 32, 16) = "\0" x 16;
	substr($model, 32, 8) = pack('Q<', hash_bytes($model, unpack('Q>', 'identity')));
	substr($model, 40, 8) = pack('Q<', hash_bytes($model, unpack('Q>', 'checksum')));
	return $model;
}

# ---- damage ----

my @words = map { pack('H16', $_) } qw(0000000000000000 0100000000000000 0200000000000000 0700000000000000 ffffffffffffffff
  ffffffffffffff7f 000000000000f87f bc0a00000000f0ff 000000000000f07f 000000000000f0ff 0000000000000080 0000000000000040
  000000000000f0bf ffffffffffff0f00 0000000000001000 000000000000f03f ffffffffffffef7f ffffffffffffefff 000000000000e07f
  0000000000000010 ffffffff00000000 000000000000e05f 0000000000000020 ffffff7f00000000);

sub damage
{
	my ($bytes, $from) = @_;
	my $length = length($bytes);
	# half of it where the counts and the models in large states are
	my $reach = rand() < 0.5 && $length > $from + 1000 ? 1000 : $length - $from;
	my $at = $from + int(rand($reach));
	my $word = $at - ($at - $from) % 8;
	my $kind = int(rand(8));

	if ($kind == 0) { substr($bytes, $at, 1) = chr(int(rand(256))); }
	elsif ($kind <= 2) { substr($bytes, $at, 1) = chr(ord(substr($bytes, $at, 1)) ^ 1 << int(rand(8))); }
	elsif ($kind == 3) { $bytes = substr($bytes, 0, $at); }
	elsif ($kind == 4 && $word + 16 <= $length) { substr($bytes, $word, 8) = substr($bytes, $word + 8, 8); }
	elsif ($word + 8 <= $length) { substr($bytes, $word, 8) = $words[ rand(@words) ]; }
	return $bytes;
}

sub damaged
{
	my ($bytes, $from) = @_;

	# hardly any in the first bytes, which say what the others mean
	$bytes = damage($bytes, rand() < 0.9 && length($bytes) > $from ? $from : 0) for 0 .. int(rand(3));
	return $bytes;
}

sub damaged_model { return repair(damaged($_[0], rand() < 0.7 ? 128 : 8)); }

# A state has its length and a model in it.
sub damaged_state
{
	my ($state) = @_;
	my ($model, $size);

	$state = damaged($state, rand() < 0.5 ? 24 : 120);
	substr($state, 20, 8) = pack('Q<', length($state) - 4) if length($state) > 28 && rand() < 0.9;
	$model = index($state, 'clustmdl');
	return $state if $model < 0 || length($state) < $model + 128;
	$size = unpack('Q<', substr($state, 28, 8));
	return $state if $size < 128 || $model + $size > length($state);
	substr($state, $model, $size) = repair(substr($state, $model, $size));
	return $state;
}

# What makes one value of another, not longer one, as arguments of patched(): values may be large.
sub patch
{
	my ($from, $to) = @_;
	my (@at, @piece);

	for (my $at = 0; $at < length($to); $at += 64)
	{
		my $piece = substr($to, $at, 64);

		next if $piece eq substr($from, $at, length($piece));
		push @at, $at + 1;
		push @piece, sprintf(q{"\\\\x%s"}, unpack('H*', $piece));
	}
	return sprintf("'{%s}', '{%s}', %d", join(',', @at), join(',', @piece), length($to));
}

my @values = split(/ /, 'null true "NaN" "Infinity" [] {} [[]] "" -1 0 1 2 3 1e308 -1e308 1e400 1e-400 4.9e-324 0.5 '
	  . '2147483648 9223372036854775808 1e-320 [1] [1,2] {"a":1} "full" "kmeans" "gmm"');

sub damaged_json
{
	my ($text) = @_;
	my @tokens = split(/("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[\[\]{},:])/, $text);
	my @places = grep { $tokens[$_] =~ /\S/ } 0 .. $#tokens;

	for (0 .. int(rand(2)))
	{
		my $place = $places[ rand(@places) ];
		my $kind = int(rand(10));

		if ($kind < 7) { $place = $places[ rand(@places) ] while $tokens[$place] =~ /^[\[\]{},:]$/; }
		$tokens[$place] = $kind == 7 ? '' : $kind == 8 ? $tokens[ $places[ rand(@places) ] ] : $values[ rand(@values) ];
	}
	return join('', @tokens);
}

# ---- calls ----

$node->safe_psql('postgres', <<'END');
-- a call's SQLSTATE, or whether its answer makes sense
CREATE FUNCTION attempt(call text, v bytea, j text, x anyarray) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	sane boolean;
BEGIN
	EXECUTE 'SELECT ' || call INTO sane USING v, j, x;
	RETURN CASE WHEN sane THEN 'sane' ELSE 'senseless' END;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || CASE WHEN SQLSTATE = 'XX000' THEN ' ' || SQLERRM ELSE '' END;
END $$;
CREATE FUNCTION in_range(v double precision[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS
	$$ SELECT bool_and(e > '-Infinity' AND e < 'Infinity') FROM unnest(v) AS e $$;
CREATE FUNCTION is_model(m bytea) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
	SELECT count(*) = (cluster_info(m)).k AND bool_and(in_range(c.center) AND c.weight >= 0) AND abs(sum(c.weight) - 1) < 1e-8
		AND cluster_from_json(cluster_to_json(m)) = m
	FROM cluster_components(m) AS c
$$;
CREATE TABLE points AS SELECT ARRAY[i % 7, i % 11 * 0.5, i * i % 13]::double precision[] AS x, ARRAY[i % 2, i % 3 % 2, i % 5 % 2]::boolean[] AS bits
	FROM generate_series(1, 60) AS i;
CREATE TABLE golden (name text, point text, m bytea);
INSERT INTO golden
SELECT 'kmeans', 'x', kmeans_fit(x, 3) FROM points UNION ALL
SELECT 'kmeans soft', 'x', kmeans_fit(x, 2, '{"beta": 0.1, "max_iter": 4}') FROM points UNION ALL
SELECT 'kmeans made', 'x', kmeans_model('{{1,2,3},{4,5,6}}') UNION ALL
SELECT 'kmedians', 'x', kmedians_fit(x, 3) FROM points UNION ALL
SELECT 'kmedians between passes', 'x', cluster_step(x, kmedians_model('{{1,2,3},{4,5,6},{70,80,90}}')) FROM points UNION ALL
SELECT 'gmm ' || c, 'x', gmm_fit(x, 2, jsonb_build_object('covariance', c, 'max_iter', 5, 'tol', 0.01))
FROM points, unnest('{full,diag,spherical,tied,fixed}'::text[]) AS c GROUP BY c UNION ALL
SELECT 'gmm one', 'x', gmm_fit(x, 1) FROM points UNION ALL
SELECT 'bernoulli', 'bits', bernoulli_fit(bits, 2, '{"max_iter": 4, "tol": 0.1}') FROM points UNION ALL
SELECT 'bernoulli made', 'bits', bernoulli_model(NULL, '{{0,1,0.5},{1,0.25,0}}');
CREATE TABLE hostile (id integer, v bytea, j text);
CREATE TABLE states (name text PRIMARY KEY, s bytea);
INSERT INTO states
SELECT name, cluster_step_partial(x, m) FROM golden, (SELECT x FROM points LIMIT 20) AS p WHERE point = 'x' GROUP BY name
UNION ALL
SELECT name, cluster_step_partial(bits, m) FROM golden, (SELECT bits FROM points LIMIT 20) AS p WHERE point = 'bits' GROUP BY name
UNION ALL
SELECT 'sample', cluster_sketch(x, NULL, 10, 1, 0, 1) FROM points;
CREATE FUNCTION patched(of text, place integer[], piece bytea[], length integer) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	v bytea := (SELECT s FROM states WHERE name = of);
BEGIN
	FOR i IN 1..cardinality(place) LOOP
		v := overlay(v PLACING piece[i] FROM place[i]);
	END LOOP;
	RETURN substr(v, 1, length);
END $$;
-- whether an aggregate that begins with this state comes to an end
CREATE FUNCTION begins(of text, v bytea) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	golden golden;
	sane boolean;
BEGIN
	SELECT * INTO golden FROM golden WHERE name = of;
	IF golden IS NULL THEN
		EXECUTE format('CREATE AGGREGATE begin(double precision[], bytea, integer, bigint, integer, double precision)
			(SFUNC = cluster_sketch_transition, STYPE = bytea, INITCOND = %L)', v);
		SELECT length(begin(x, NULL, 10, 1, 0, 1)) > 0 INTO sane FROM points;
		DROP AGGREGATE begin(double precision[], bytea, integer, bigint, integer, double precision);
		RETURN sane;
	END IF;
	EXECUTE format('CREATE AGGREGATE begin(%s, bytea) (SFUNC = cluster_step_transition, STYPE = bytea, INITCOND = %L)',
		CASE golden.point WHEN 'x' THEN 'double precision[]' ELSE 'boolean[]' END, v);
	EXECUTE format('SELECT length(begin(%I, $1)) > 0 FROM points', golden.point) INTO sane USING golden.m;
	EXECUTE format('DROP AGGREGATE begin(%s, bytea)', CASE golden.point WHEN 'x' THEN 'double precision[]' ELSE 'boolean[]' END);
	RETURN sane;
END $$;
END

my %model_calls = (
	predict => 'cluster_predict($1, $3) BETWEEN 1 AND (cluster_info($1)).k',
	probabilities => q{(SELECT abs(sum(p) - 1) < 1e-8 AND min(p) >= 0 FROM unnest(cluster_probabilities($1, $3)) AS p)},
	distance => q{cluster_distance($1, $3) BETWEEN 0 AND 'Infinity'},
	distances => q{(SELECT bool_and(d BETWEEN 0 AND 'Infinity') FROM unnest(cluster_distances($1, $3)) AS d)},
	center => 'cluster_center($1, $3) = (SELECT center FROM cluster_components($1) WHERE cluster = cluster_predict($1, $3))',
	log_density => q{cluster_log_density($1, $3) <= 'Infinity'},
	info => q{(SELECT k > 0 AND dimensions > 0 AND coalesce(rows, 0) >= 0 AND parameters > 0 AND options IS NOT NULL FROM cluster_info($1))},
	model => 'is_model($1)',
	trace => '(SELECT coalesce(bool_and(run > 0 AND iteration > 0 AND coalesce(changed, 0) >= 0), true) FROM cluster_trace($1))',
	mean => 'in_range(cluster_mean($1))',
	covariance => 'in_range(cluster_covariance($1))',
	sample => '(SELECT bool_and(cluster BETWEEN 1 AND (cluster_info($1)).k AND in_range(x)) FROM cluster_sample($1, 4, 1))',
	add => 'is_model(gmm_add($1, $1))',
	marginal => q{is_model(gmm_marginal($1, '{1}'))},
	condition => q{is_model(gmm_condition($1, '{1}', '{2.5}'))},
	kl => q{(SELECT kl < 'Infinity' AND stderr < 'Infinity' FROM gmm_kl($1, $1, 10, 1))},
	kmeans_fit => 'is_model(kmeans_fit(x, $1)) FROM points',
	kmedians_fit => 'is_model(kmedians_fit(x, $1)) FROM points',
	gmm_fit => 'is_model(gmm_fit(x, $1, gmm_options(max_iter => 3))) FROM points',
	bernoulli_fit => 'is_model(bernoulli_fit(bits, $1)) FROM points',
	step => 'is_model(cluster_step(x, $1)) FROM points',
	bits_step => 'is_model(cluster_step(bits, $1)) FROM points',
	kmeans_fit_query => q{is_model(kmeans_fit_query('SELECT x FROM points', $1, '{"max_iter": 2}'))},
	kmedians_fit_query => q{is_model(kmedians_fit_query('SELECT x FROM points', $1, '{"max_iter": 2}'))},
	gmm_fit_query => q{is_model(gmm_fit_query('SELECT x FROM points', $1, '{"max_iter": 2}'))},
	bernoulli_fit_query => q{is_model(bernoulli_fit_query('SELECT bits FROM points', $1, '{"max_iter": 2}'))});

my %state_calls = (
	combine => 'length(cluster_step_combine($1, $1)) > 0',
	final => 'coalesce(is_model(cluster_step_final($1)), true)',
	merge => 'coalesce(is_model((SELECT cluster_step_merge(s) FROM unnest(ARRAY[$1, $1]) AS s)), true)',
	sketch_combine => 'length(cluster_sketch_combine($1, $1)) > 0',
	sketch_rows => '(SELECT coalesce(bool_and(in_range(x) AND weight >= 0), true) FROM cluster_sketch_rows($1))');

my %json_calls = (
	from_json => 'is_model(cluster_from_json($2::jsonb))');

my %option_calls = (
	kmeans => 'is_model(kmeans_fit(x, 2, $2::jsonb)) FROM points',
	kmedians => 'is_model(kmedians_fit(x, 2, $2::jsonb)) FROM points',
	gmm => 'is_model(gmm_fit(x, 2, $2::jsonb)) FROM points',
	bernoulli => 'is_model(bernoulli_fit(bits, 2, $2::jsonb)) FROM points',
	query => q{is_model(kmeans_fit_query('SELECT x FROM points', 2, $2::jsonb))});

# Store values, run the calls on them, and look at what came of it.
sub try_out
{
	my ($name, $calls, $point, @hostile) = @_;
	my $rows = join(",\n", map { sprintf("(%d, %s, %s)", $_, @{ $hostile[$_] }) } 0 .. $#hostile);
	my $list = join(', ', map { "(\$q\$$_\$q\$, \$q\$$calls->{$_}\$q\$)" } sort keys %$calls);
	my $x = $point eq 'bits' ? 'ARRAY[true, false, true]' : 'ARRAY[1, 2.5, -3]::double precision[]';
	my ($status, $stdout, $stderr) = $node->psql('postgres', <<"END", timeout => 1200);
SET client_min_messages = error;
SET statement_timeout = '@{[ $long ? 900 : 120 ]}s';
TRUNCATE hostile;
INSERT INTO hostile VALUES $rows;
SELECT outcome, count(*), (array_agg(DISTINCT call)), min(id), left((array_agg(coalesce(j, encode(v, 'hex')) ORDER BY call, id))[1], 20000)
FROM (SELECT c.call, id, v, j, attempt(c.query, v, j, $x) AS outcome FROM (VALUES $list) AS c (call, query), hostile) AS t
GROUP BY outcome ORDER BY outcome COLLATE "C";
END
	my @wrong = grep { !(/^(\w+)\|/ && ($1 eq 'sane' || $documented{$1})) } split(/\n/, $stdout);

	ok($status == 0 && @wrong == 0 && $stdout ne '', "$name: every call ends in an answer that makes sense or a documented error");
	diag("seed $seed, status $status: $stderr\n" . join("\n", @wrong)) if $status != 0 || @wrong > 0;
	note(join(', ', map { /^(\w+)\|(\d+)/ ? "$1 $2" : () } split(/\n/, $stdout)));
	return $stdout;
}

sub bytes { return "'\\x" . unpack('H*', $_[0]) . "'"; }

sub text
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	return "'$text'";
}

sub ask { return split(/\n/, $node->safe_psql('postgres', $_[0])); }

# ---- models ----

for my $line (ask("SELECT name, point, encode(m, 'hex') FROM golden"))
{
	my ($name, $point, $hex) = split(/\|/, $line);
	my $model = pack('H*', $hex);

	ok(repair($model) eq $model, "$name: the hashes are those of the server");
	ok(try_out($name, \%model_calls, $point, map { [ bytes(damaged_model($model)), 'NULL' ] } 1 .. $mutants) =~ /^XX001.*^sane/ms,
		"$name: some are models, and some are not");
}

# ---- states and samples ----

for my $line (ask(q{SELECT name, encode(s, 'hex') FROM states}))
{
	my ($name, $hex) = split(/\|/, $line);
	my $state = pack('H*', $hex);
	my $hostile = sub { [ "patched('$name', " . patch($state, damaged_state($state)) . ')', 'NULL' ] };

	ok(try_out("state of $name", \%state_calls, 'x', map { $hostile->() } 1 .. $mutants / 2) =~
		/^XX001.*^sane/ms, "state of $name: some are states, and some are not");

	# whoever makes an aggregate of a transition function chooses what that begins with
	try_out("aggregate from a state of $name", { begin => "begins('$name', \$1)" },
		'x', map { $hostile->() } 1 .. $mutants / 5);
}

# ---- JSON ----

for my $line (ask('SELECT name, cluster_to_json(m) FROM golden'))
{
	my ($name, $json) = split(/\|/, $line, 2);

	try_out("JSON of $name", \%json_calls, 'x', map { [ 'NULL', text(damaged_json($json)) ] } 1 .. 2 * $mutants);
}
for my $line (ask(q{SELECT kmeans_options(max_iter => 3) UNION ALL SELECT gmm_options(reg_covar => 0.1, max_iter => 4) UNION ALL SELECT bernoulli_options()}))
{
	try_out("options $line", \%option_calls, 'x', map { [ 'NULL', text(damaged_json($line)) ] } 1 .. $mutants);
}

is($node->safe_psql('postgres', 'SELECT (cluster_info(kmeans_fit(x, 3))).k FROM points'), '3', 'the server goes on');
unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC|TRAP:/, 'and has never gone down');

$node->stop;
done_testing();

# Odd rows: tables of every element type, with NULLs, NaN and infinities, denormals and numbers near the
# end of the range, arrays of mixed lengths, of no elements, of two dimensions, with other lower bounds,
# compressed and out of line, with weights and numbers of clusters of every kind.  They go through the
# fits, the steps and the functions that apply a model.  What comes back is right, by brute force in
# numeric arithmetic, or an error that the reference lists.
#
# With CLUSTERING_TEST_LONG in the environment there are many more of them, and larger ones; a seed may be
# given there, too, as CLUSTERING_TEST_SEED.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $long = exists $ENV{CLUSTERING_TEST_LONG};
my $seed = $ENV{CLUSTERING_TEST_SEED} || 1;
my ($cases, $large) = $long ? (4000, 25) : (120, 1);

my %documented = map { $_ => 1 } qw(0A000 22000 22003 22004 22023 2202E 42804 54000);

note("CLUSTERING_TEST_SEED=$seed");
srand($seed);

sub one_of { return $_[ rand(@_) ]; }

my $node = PostgreSQL::Test::Cluster->new('odd');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION clustering');
$node->safe_psql('postgres', <<'END');
-- the rows that count, with their weights
CREATE TABLE good (id serial, x double precision[], w double precision);

-- 17 digits of a number, not the 15 that a cast leaves
CREATE FUNCTION exact(v double precision) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT v::text::numeric';
CREATE FUNCTION near(a numeric, b numeric, unit numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS
	$$ SELECT abs(a - b) <= 1e-9 * unit + 1e-300 $$;

-- what is wrong with the sums that every model has
CREATE FUNCTION wrong_sums(m bytea) RETURNS text LANGUAGE sql AS $$
	SELECT CASE
		WHEN i.rows IS DISTINCT FROM CASE WHEN g.whole THEN g.total::bigint ELSE g.n END THEN 'rows'
		WHEN NOT near(exact(i.total_weight), g.total, g.total) THEN 'total weight'
		WHEN NOT near(c.size, g.total, g.total) THEN 'sizes'
		WHEN NOT near(c.weight, 1, 1) THEN 'weights'
		WHEN NOT (c.k = i.k AND labels.inside) THEN 'labels' END
	FROM cluster_info(m) AS i,
		(SELECT count(*) AS n, sum(exact(w)) AS total, bool_and(w = floor(w)) AND sum(exact(w)) < 9e15 AS whole FROM good) AS g,
		(SELECT count(*) AS k, sum(exact(size)) AS size, sum(exact(weight)) AS weight FROM cluster_components(m)) AS c,
		(SELECT coalesce(bool_and(cluster_predict(m, x) BETWEEN 1 AND (cluster_info(m)).k), true) AS inside FROM good) AS labels
$$;

-- hard clusters: labels are those of nearest centres, these the means or medians of their members
CREATE FUNCTION wrong_clusters(m bytea, algorithm text) RETURNS text LANGUAGE sql AS $$
	WITH labelled AS MATERIALIZED (SELECT id, x, exact(w) AS w, cluster_predict(m, x) AS label FROM good),
	clusters AS MATERIALIZED (SELECT cluster, center, exact(size) AS size FROM cluster_components(m)),
	distances AS MATERIALIZED (
		SELECT id, l.w, label, cluster, sum(CASE algorithm WHEN 'kmeans' THEN (a - b) * (a - b) ELSE abs(a - b) END) AS distance
		FROM labelled AS l, clusters, LATERAL (SELECT exact(u.a) AS a, exact(u.b) AS b FROM unnest(x, center) AS u (a, b)) AS v
		GROUP BY id, l.w, label, cluster),
	nearest AS (SELECT id, min(distance) AS least, max(distance) FILTER (WHERE cluster = label) AS own, max(w) AS w
		FROM distances GROUP BY id),
	members AS (SELECT label AS cluster, sum(w) AS w FROM labelled GROUP BY label),
	-- all columns have one unit: that of the largest value, where a denormal has its last digit
	last_digit AS (SELECT max(abs(exact(v))) * 5e-324 AS digit FROM labelled, unnest(x) AS v),
	columns AS (
		SELECT l.label AS cluster, j, sum(l.w) AS w, sum(l.w * exact(v)) AS total,
			max(max(abs(exact(v)))) OVER (PARTITION BY j) AS largest, max(exact(e)) AS center,
			sum(l.w) FILTER (WHERE exact(v) < exact(e) - digit) AS below, sum(l.w) FILTER (WHERE exact(v) > exact(e) + digit) AS above
		FROM labelled AS l JOIN clusters AS c ON c.cluster = l.label, last_digit, unnest(l.x, c.center) WITH ORDINALITY AS u (v, e, j)
		GROUP BY l.label, j)
	SELECT CASE
		WHEN (SELECT NOT bool_and(near(own, least, least)) FROM nearest) THEN 'labels are not nearest'
		-- a center is rounded to a double, and sums have some 80 bits below their largest term
		WHEN (SELECT NOT near(exact((cluster_info(m)).objective), sum(w * own), sum(w * own) + 1e-15 * sum(w) * largest * largest
			+ 1e-5 * largest * sqrt(sum(w * own) * sum(w))) FROM nearest, (SELECT max(largest) AS largest FROM columns) AS c GROUP BY largest)
			THEN 'objective'
		WHEN NOT (cluster_info(m)).converged THEN NULL
		WHEN (SELECT NOT bool_and(near(c.size, coalesce(n.w, 0), n.w)) FROM clusters AS c LEFT JOIN members AS n USING (cluster)) THEN 'sizes of clusters'
		WHEN algorithm = 'kmeans' AND (SELECT NOT bool_and(near(center, total / w, largest) OR abs(center - total / w) <= digit) FROM columns, last_digit) THEN 'centers are not means'
		WHEN algorithm = 'kmedians' AND (SELECT NOT bool_and(coalesce(below, 0) <= w / 2 * (1 + 1e-9) AND coalesce(above, 0) <= w / 2 * (1 + 1e-9))
			FROM columns) THEN 'centers are not medians' END
$$;

-- mixtures: probabilities sum to one, and what the model says of its likelihood is so
CREATE FUNCTION wrong_mixture(m bytea) RETURNS text LANGUAGE sql AS $$
	SELECT CASE
		WHEN NOT sums_to_one THEN 'probabilities'
		WHEN NOT isfinite THEN NULL
		WHEN abs((cluster_info(m)).log_likelihood - likelihood) > 1e-7 * (size + absolute) THEN
			format('log-likelihood %s, by rows %s', (cluster_info(m)).log_likelihood, likelihood) END
	FROM (SELECT bool_and((SELECT abs(sum(p) - 1) < 1e-9 AND min(p) >= 0 FROM unnest(cluster_probabilities(m, x)) AS p)) AS sums_to_one,
			-- farther out the rounding of a center shows
			bool_and(abs(cluster_log_density(m, x)) < 1e12 AND w < 1e10) AS isfinite,
			sum(least(w, 1e10) * greatest(least(cluster_log_density(m, x), 1e290), -1e290)) AS likelihood,
			sum(least(w, 1e10) * least(abs(cluster_log_density(m, x)), 1e290)) AS absolute, sum(least(w, 1e10)) AS size
		FROM good) AS t
$$;

-- two clusters, to apply, or to begin a step with
CREATE FUNCTION two(algorithm text) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	d integer := coalesce((SELECT cardinality(x) FROM good LIMIT 1), 3);
	zeros double precision[] := array_fill(0.0::double precision, ARRAY[d]);
	halves double precision[] := array_fill(0.5::double precision, ARRAY[d]);
BEGIN
	RETURN CASE algorithm WHEN 'kmeans' THEN kmeans_model(ARRAY[zeros, halves]) WHEN 'kmedians' THEN kmedians_model(ARRAY[zeros, halves])
		WHEN 'gmm' THEN gmm_model(NULL, ARRAY[zeros, halves], '{2}', 'fixed') ELSE bernoulli_model(NULL, ARRAY[halves, zeros]) END;
END $$;

-- a step of K-means: means of the rows that were nearest to the centres that it began with
CREATE FUNCTION wrong_step(m bytea) RETURNS text LANGUAGE sql AS $$
	WITH columns AS (
		SELECT label, j, sum(w * exact(v)) / sum(w) AS mean, max(max(abs(exact(v)))) OVER (PARTITION BY j) AS largest
		FROM (SELECT x, exact(w) AS w, cluster_predict(two('kmeans'), x) AS label FROM good) AS l, unnest(x) WITH ORDINALITY AS u (v, j)
		GROUP BY label, j),
	centers AS (SELECT cluster AS label, j, e FROM cluster_components(m), unnest(center) WITH ORDINALITY AS u (e, j))
	SELECT CASE WHEN count(DISTINCT label) = 2 AND NOT bool_and(near(exact(e), mean, largest)) THEN 'centers of a step' END
	FROM columns JOIN centers USING (label, j)
$$;

-- "right", what is wrong, or the SQLSTATE
CREATE FUNCTION outcome(call text, algorithm text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	m bytea;
	wrong text;
BEGIN
	BEGIN
		EXECUTE 'SELECT ' || call INTO m;
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLSTATE || CASE WHEN SQLSTATE = 'XX000' THEN ' ' || SQLERRM ELSE '' END;
	END;
	IF m IS NULL THEN
		RETURN CASE WHEN EXISTS (SELECT FROM good) THEN 'no model' ELSE 'right' END;
	END IF;
	wrong := wrong_sums(m);
	IF wrong IS NULL THEN
		wrong := CASE WHEN call ~ '^cluster_step' THEN CASE algorithm WHEN 'kmeans' THEN wrong_step(m) END
			WHEN algorithm IN ('kmeans', 'kmedians') THEN wrong_clusters(m, algorithm) ELSE wrong_mixture(m) END;
	END IF;
	RETURN coalesce('wrong: ' || wrong, 'right');
END $$;

-- models applied to all rows, also to those that a fit would not take
CREATE FUNCTION applied(algorithm text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	m bytea := two(algorithm);
	row integer;
	list text := '';
	sane boolean;
BEGIN
	FOR row IN SELECT id FROM odd WHERE x IS NOT NULL LIMIT 200 LOOP
		BEGIN
			EXECUTE $q$ SELECT cluster_predict($1, x) IN (1, 2) AND cluster_distance($1, x) BETWEEN 0 AND 'Infinity'
				AND cardinality(cluster_center($1, x)) = (cluster_info($1)).dimensions AND cardinality(cluster_distances($1, x)) = 2
				AND (SELECT abs(sum(p) - 1) < 1e-9 FROM unnest(cluster_probabilities($1, x)) AS p)
				AND ($2 OR cluster_log_density($1, x) <= 'Infinity') FROM odd WHERE id = $3 $q$
				INTO sane USING m, algorithm IN ('kmeans', 'kmedians'), row;
			list := list || CASE WHEN sane THEN '' ELSE ' senseless' END;
		EXCEPTION WHEN OTHERS THEN
			list := list || ' ' || SQLSTATE;
		END;
	END LOOP;
	RETURN coalesce((SELECT string_agg(DISTINCT e, ' ') FROM unnest(string_to_array(trim(list), ' ')) AS e WHERE e <> ''), 'right');
END $$;
END

# ---- tables ----

my %range = (smallint => 32767, integer => 2147483647, bigint => 9007199254740993);
my @extremes = qw(1e308 -1e308 1.7976931348623157e308 -1.7976931348623157e308 4.9e-324 -4.9e-324 2.2250738585072014e-308 1e-320 0 -0 1e154 1e-162);
my @floats = qw(3.4e38 -3.4e38 1e-45 -1e-45 1.17549435e-38 0 -0 1e19);

# A number of a kind, as text.
sub number
{
	my ($type, $kind) = @_;

	return int(rand(2)) if $type eq 'boolean' || $kind eq 'bits';
	return int(rand(5)) if $kind eq 'few';
	return 7 if $kind eq 'constant';
	return one_of($range{$type}, -$range{$type}, 0, 1, -$range{$type} - 1) if $kind eq 'extreme' && exists $range{$type} && $type ne 'bigint';
	return one_of('9223372036854775807', '-9223372036854775808', 0, 1) if $kind eq 'extreme' && $type eq 'bigint';
	return one_of(@floats) if $kind eq 'extreme' && $type eq 'real';
	return one_of(@extremes) if $kind eq 'extreme';
	return int(rand(2000)) - 1000 if exists $range{$type};
	return sprintf('%.17g', (rand() - 0.5) * 10**($type eq 'real' ? int(rand(30)) - 15 : int(rand(250)) - 125)) if $kind eq 'scales';
	return sprintf('%.17g', 1e9 + rand()) if $kind eq 'offset';
	return sprintf('%.17g', rand() * 10 - 5);
}

# What is in a row besides numbers.
my %spoil = (
	row => sub { return undef; },
	element => sub { return [ map { $_ == $#_ / 2 || rand() < 0.2 ? 'NULL' : $_ } @_, 'NULL' ]; },
	nan => sub { my @x = @_; $x[ rand(@x) ] = 'NaN'; return \@x; },
	infinity => sub { my @x = @_; $x[ rand(@x) ] = one_of('Infinity', '-Infinity'); return \@x; },
	longer => sub { return [ @_, 1 ]; },
	empty => sub { return []; },
	matrix => sub { return "{{" . join(',', @_) . "},{" . join(',', @_) . "}}"; });

# A case: the statements that make its tables, and what is to be expected of it.  It may be one of
# many rows.
sub make_case
{
	my ($many) = @_;
	my $type = one_of('double precision', 'double precision', 'real', 'smallint', 'integer', 'bigint', 'numeric', 'boolean', 'bit varying');
	my $kind = one_of('plain', 'plain', 'few', 'few', 'constant', 'extreme', 'scales', 'offset', 'bits');
	my $d = $many ? one_of(1, 2, 3) : one_of(1, 1, 2, 2, 3, 5, 8, 9, 17, $long ? (64, 257, 1000, 16000) : (64, 1000));
	my $n = $many || one_of(0, 1, 2, 3, 4, 7, 12, 20, $d < 4 ? (33, 70) : ());
	my $spoiled = rand() < 0.3 ? one_of(sort keys %spoil) : '';
	my $weights = one_of('none', 'none', 'none', 'whole', 'fractions', 'zeros', 'wild', 'bad');
	my ($expected, $bits) = ('any', $type eq 'bit varying');
	my (@rows, @good, %distinct);

	$n = 2 + int(rand(8)) if $d > 100 && $n > 10;
	# the rows before the longer one are to count
	($n, $weights) = ($n + 2, 'none') if $spoiled eq 'longer';
	$kind = 'bits' if $bits || $type eq 'boolean';
	$spoiled = '' if $bits && $spoiled !~ /^(row|longer|empty)$/ || $n == 0;
	$spoiled = 'row' if $spoiled =~ /nan|infinity/ && (exists $range{$type} || $type eq 'boolean');
	for my $i (0 .. $n - 1)
	{
		my @x = map { number($type, $kind) } 1 .. $d;
		my $x = \@x;
		my $w =
		    $weights eq 'whole' ? 1 + int(rand(4))
		  : $weights eq 'fractions' ? sprintf('%.17g', rand() + 0.01)
		  : $weights eq 'zeros' ? one_of(0, 1, 2, 'NULL')
		  : $weights eq 'wild' ? one_of('1e300', '1e-300', '4.9e-324', 1, '1e308')
		  : $weights eq 'bad' ? one_of(1, 1, 2, "'NaN'", -1, "'Infinity'", "'-Infinity'")
		  : 1;
		my $is_good = $w ne 'NULL' && $w ne '0';

		if ($spoiled ne '' && ($i == $n - 1 || $spoiled ne 'longer' && rand() < 0.1))
		{
			$x = $spoil{$spoiled}->(@x);
			$is_good = 0;
		}
		my $text = !defined $x ? 'NULL' : !ref $x ? "'$x'" : $bits ? "B'" . join('', @$x) . "'" : "'{" . join(',', @$x) . "}'";
		# lower bounds don't matter
		$text = "'[" . join(':', 5, 4 + @$x) . "]={" . join(',', @$x) . "}'" if ref $x && @$x > 0 && !$bits && rand() < 0.1;
		push @rows, "($i, $text, $w)";
		push @good, $i if $is_good;
		$distinct{ join(',', @x) } = 1 if $is_good;
	}

	my $k = $many ? one_of(1, 2, 3) : one_of(1, 1, 2, 2, 3, scalar(keys %distinct), scalar(keys %distinct) + 1, rand() < 0.1 ? (0, -1, 2147483647) : ());
	my %options = (max_iter => one_of(1, 5, 300, 300));

	$options{allow_fewer} = 'true' if rand() < 0.3;
	$options{invalid} = '"skip"' if rand() < 0.3;
	$options{init} = '"random"' if rand() < 0.2;

	my $harmless = $spoiled eq '' || $spoiled eq 'row' || (exists $options{invalid} && $spoiled =~ /nan|infinity/);
	my $possible = $k >= 1 && ($k <= keys %distinct || exists $options{allow_fewer});

	# as floats, numbers near 1e9 are mostly the same
	$possible &&= $kind ne 'offset' || $type ne 'real';

	$expected = 'right' if $harmless && $possible && $weights !~ /wild|bad/ && $kind !~ /extreme|scales/;
	$expected = 'error' if $spoiled =~ /nan|infinity|empty|matrix/ && !exists $options{invalid} && $weights =~ /none|whole|fractions/;
	$expected = 'error' if $k < 1 && $n > 0;
	return {
		type => $type,
		bits => $bits,
		binary => $kind eq 'bits',
		expected => $expected,
		k => $k,
		weighted => $weights ne 'none',
		options => \%options,
		d => $d,
		tables => tables($type, $bits, \@rows, \@good),
		describe => "$type x $d, $n rows, $kind values, spoiled '$spoiled', weights $weights, k $k" };
}

sub tables
{
	my ($type, $bits, $rows, $good) = @_;
	my $column = $bits ? $type : "$type\[]";
	my $storage = one_of('EXTENDED', 'EXTERNAL', 'MAIN', $bits ? () : 'PLAIN');
	my $values =
	    $bits ? "string_to_array(x::text, NULL)::double precision[]"
	  : $type eq 'boolean' ? 'x::integer[]::double precision[]'
	  : 'x::double precision[]';
	my $list = join(', ', -1, @$good);

	$values = 'ARRAY(SELECT e::integer::double precision FROM unnest(x) AS e)' if $type eq 'boolean';
	$storage = 'EXTERNAL' if $storage eq 'PLAIN' && length("@$rows") > 4000;
	return "DROP TABLE IF EXISTS odd; CREATE TABLE odd (id integer, x $column, w double precision);\n"
	  . "ALTER TABLE odd ALTER x SET STORAGE $storage;\n"
	  . (@$rows ? "INSERT INTO odd VALUES\n" . join(",\n", @$rows) . ";\n" : '')
	  # subtracting nothing makes 0 of -0, which is what a model keeps
	  . "TRUNCATE good; INSERT INTO good (x, w) SELECT ARRAY(SELECT e FROM unnest($values) AS e), w FROM odd WHERE id IN ($list);\n";
}

# The calls of a case, by algorithm.
sub calls
{
	my ($case) = @_;
	my ($w, $column) = $case->{weighted} ? (', w', ', w') : ('', '');
	my @calls;

	for my $algorithm (one_of('kmeans', 'kmedians'), one_of('gmm', 'kmeans'), $case->{binary} ? 'bernoulli' : ())
	{
		my %options = %{ $case->{options} };

		next if $case->{bits} && $algorithm ne 'bernoulli';
		# matrices of many columns take long
		$options{covariance} = one_of('"diag"', '"spherical"', '"fixed"', $case->{d} > 64 ? () : ('"full"', '"full"', '"tied"')) if $algorithm eq 'gmm';
		my $options = "'{" . join(', ', map { "\"$_\": $options{$_}" } sort keys %options) . "}'";

		push @calls, [ $algorithm, "${algorithm}_fit(x, $case->{k}, $options$w) FROM odd" ];
		push @calls, [ $algorithm, "cluster_step(x, two('$algorithm')$w) FROM odd" ]
		  if $case->{type} =~ /double|real|boolean|bit/;
		push @calls, [ $algorithm, "${algorithm}_fit_query('SELECT x$column FROM odd', $case->{k}, $options)" ];
	}
	return @calls;
}

# ---- run ----

my (@cases, $script);

$script = "SET client_min_messages = error; SET statement_timeout = '300s';\n";
for my $i (0 .. $cases + $large - 1)
{
	my $case = make_case($i < $cases ? 0 : $long ? 100000 : 5000);

	push @cases, $case;
	$case->{calls} = [ calls($case) ];
	$script .= "SELECT $i, 'begin', '', 'right';\n$case->{tables}";
	for my $call (@{ $case->{calls} })
	{
		$script .= "SELECT $i, 'fit', \$call\$$call->[1]\$call\$, outcome(\$call\$$call->[1]\$call\$, '$call->[0]');\n";
		$script .= "SELECT $i, 'apply', '$call->[0]', applied('$call->[0]');\n" if $call->[1] =~ /^\w+_fit\(/;
	}
}

my ($status, $stdout, $stderr) = $node->psql('postgres', $script, timeout => 3000);
my ($last) = $stdout =~ /([^\n]*)\n*\z/;
my (%seen, @wrong);

for my $line (split(/\n/, $stdout))
{
	my ($i, $what, $call, $outcome) = split(/\|/, $line, 4);
	my $case = $cases[$i];
	my $is_right = $outcome eq 'right';
	my $is_error = !grep { !$documented{$_} } split(/ /, $outcome);

	next if $what eq 'begin';
	$seen{"$what $outcome"}++;
	next if $what eq 'apply' && ($is_right || $is_error);
	next if $is_right && ($case->{expected} ne 'error' || $call =~ /^cluster_step/);
	# steps know nothing of the options, which may say that odd rows are skipped
	next if $is_error && ($case->{expected} ne 'right' || $call =~ /^cluster_step/);
	push @wrong, "case $i: $outcome, expected $case->{expected}: $call\n($case->{describe})\n" . substr($case->{tables}, 0, 3000);
}

is($status, 0, 'the session comes to its end') or diag("seed $seed, the last line was $last: $stderr");
ok(@wrong == 0, 'every result is right, or a documented error') or diag("seed $seed\n" . join("\n", @wrong));
note("$_: $seen{$_}") for sort keys %seen;
cmp_ok($seen{'fit right'}, '>', $cases / 2, 'most are models');

unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC|TRAP:/, 'the server has never gone down');

$node->stop;
done_testing();

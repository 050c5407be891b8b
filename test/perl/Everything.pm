# Everything.pm
#	Every function of the extension called once, wherever it lives: for tests of what it takes to
#	call them, not of what they answer.

package Everything;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(everything not_called);

# Functions of the extension are written S.name, the rows and the queries as ROWS, POINTS and BITS.
# Everything else is named by its schema, so that it means the same under any search_path.
my $rows = '(SELECT ARRAY[pg_catalog.sin(i), pg_catalog.cos(3 OPERATOR(pg_catalog.*) i), i OPERATOR(pg_catalog.%) 5]::pg_catalog.float8[] AS x,'
  . ' i::pg_catalog.bit(6)::pg_catalog.varbit AS bits, i OPERATOR(pg_catalog.%) 3 AS label FROM pg_catalog.generate_series(1, 400) AS i) AS r';
my $gmm = q{S.gmm_model('{0.25,0.75}', '{{0,1},{4,-1}}', '{{{2,0.5},{0.5,1}},{{1,0},{0,2}}}')};
my $kmeans = q{S.kmeans_model('{{0,0,0},{1,-1,3}}')};
my $bernoulli = q{S.bernoulli_model(NULL, '{{0.5,0.5,0.5,0.5,0.5,0.1}}')};

my @calls = (
	'S.kmeans_fit(x, 3) FROM ROWS',
	"S.kmeans_fit(x, $kmeans, S.kmeans_options(tol => 1e-3), 2.0) FROM ROWS",
	'S.kmedians_fit(x, 3, S.kmedians_options(seed => 4)) FROM ROWS',
	"S.gmm_fit(x, 2, S.gmm_options(covariance => 'diag')) FROM ROWS",
	'S.bernoulli_fit(bits, 2, S.bernoulli_options(smoothing => 1)) FROM ROWS',
	'S.kmeans_fit_query(POINTS, 3)',
	"S.kmeans_fit_query(POINTS, $kmeans)",
	'S.kmedians_fit_query(POINTS, 3)',
	q{S.gmm_fit_query(POINTS, 2, '{"tol": 0.01}')},
	'S.bernoulli_fit_query(BITS, 2)',
	"S.cluster_step(x, $kmeans) FROM ROWS",
	"S.cluster_step_final(S.cluster_step_combine(S.cluster_step_partial(x, $kmeans), S.cluster_step_partial(x, $kmeans, 2))) FROM ROWS",
	"S.cluster_step_merge(s) FROM (SELECT S.cluster_step_partial(bits, $bernoulli) AS s FROM ROWS) AS t",
	'x, weight FROM (SELECT S.cluster_sketch(x, NULL, 9, 1, 0, 1) AS s FROM ROWS) AS t, S.cluster_sketch_rows(S.cluster_sketch_combine(s, s))',
	"S.cluster_predict($kmeans, x), S.cluster_distance($kmeans, x), S.cluster_distances($kmeans, x),"
	  . " S.cluster_center($kmeans, x), S.cluster_probabilities($kmeans, x) FROM ROWS",
	"S.cluster_log_density($gmm, ARRAY[1, 2])",
	"S.cluster_info($kmeans), S.cluster_from_json(S.cluster_to_json(S.kmedians_model('{{1,2}}')))",
	"c FROM S.cluster_components($kmeans) AS c",
	't FROM S.cluster_trace((SELECT S.kmeans_fit(x, 4) FROM ROWS)) AS t',
	"S.cluster_mean($gmm), S.cluster_covariance($gmm), S.gmm_add($gmm, $gmm)",
	"s FROM S.cluster_sample($gmm, 10, 1) AS s",
	"S.gmm_marginal($gmm, '{2}'), S.gmm_condition($gmm, '{1}', '{0.5}')",
	"S.gaussian_kl('{0}', '{{1}}', '{1}', '{{2}}'), S.gmm_kl($gmm, $gmm, 100, 1)",
	'S.adjusted_rand_index(label, x[3]), S.normalized_mutual_information(label, x[3]) FROM ROWS');

# The statements, for an extension in a schema (quoted, if its name needs to be).
sub everything
{
	my ($schema) = @_;
	my $sql = join('', map { "SELECT $_;\n" } @calls);

	$sql =~ s/ROWS/$rows/g;
	$sql =~ s/POINTS/'SELECT x FROM $rows'/g;
	$sql =~ s/BITS/'SELECT bits FROM $rows'/g;
	$sql =~ s/\bS\./$schema./g;
	return $sql;
}

# A query for the functions of the extension that are missing above, but for those that belong to
# an aggregate.
sub not_called
{
	my %called = map { $_ => 1 } join(' ', @calls) =~ /\bS\.(\w+)/g;
	my $list = join(', ', map { "'$_'" } sort keys %called);

	return "SELECT DISTINCT proname FROM pg_depend JOIN pg_proc AS p ON p.oid = objid"
	  . " WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'clustering')"
	  . " AND refclassid = 'pg_extension'::regclass AND deptype = 'e' AND classid = 'pg_proc'::regclass"
	  . " AND proname NOT IN ($list)"
	  . " AND NOT EXISTS (SELECT FROM pg_aggregate WHERE p.oid IN (aggtransfn, aggfinalfn, aggcombinefn))";
}

1;

# Whose rights count: fits over a query read what the caller may read, and write nothing; what
# others have put on the search_path, or into the extension's schema, is not called.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Everything;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('rights');
$node->init;
$node->start;

my $parallel = <<'END';
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
END

sub answer
{
	my ($sql, @options) = @_;

	return $node->safe_psql('postgres', $sql, @options);
}

sub as
{
	my ($role, $sql) = @_;

	return answer($sql, extra_params => [ '-U', $role ]);
}

sub error
{
	my ($sql, @options) = @_;
	my ($result, $stdout, $stderr) = $node->psql('postgres', $sql, @options);

	return $stderr;
}

# Rows, of a fit over a query.
sub rows_of
{
	my ($query) = @_;

	return "SELECT (tools.cluster_info(tools.kmeans_fit_query('$query', 2))).rows;";
}

# 25,000 rows in all are more than the sample of a start has room for.
answer(<<'END');
CREATE SCHEMA tools;
CREATE EXTENSION clustering SCHEMA tools;
GRANT USAGE ON SCHEMA tools TO PUBLIC;
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
CREATE ROLE mallory LOGIN;
CREATE TABLE sales (owner text, i integer, x double precision[]);
INSERT INTO sales SELECT CASE WHEN i <= 21000 THEN 'alice' ELSE 'bob' END, i, ARRAY[i % 97, i * 7919 % 10007] FROM generate_series(1, 25000) AS i;
ALTER TABLE sales ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON sales USING (owner = current_user);
GRANT SELECT ON sales TO alice, bob;
CREATE TABLE secret AS SELECT x FROM sales;
CREATE VIEW all_sales AS SELECT x FROM sales;
CREATE VIEW own_sales WITH (security_invoker) AS SELECT x FROM sales;
CREATE FUNCTION fit_all() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public
	AS $$ SELECT (tools.cluster_info(tools.kmeans_fit_query('SELECT x FROM public.sales', 2))).rows $$;
GRANT SELECT ON all_sales, own_sales TO bob;
ANALYZE;
END

# ---- row-level security ----

my $all = rows_of('SELECT x FROM sales');

for my $settings ('', $parallel)
{
	my $how = $settings ? 'in workers' : 'in one process';

	is(as('alice', $settings . $all), '21000', "a role's own rows, $how");
	is(as('bob', $settings . $all), '4000', "another one's, $how");
	is(answer($settings . $all), '25000', "a superuser sees all, $how");
	is(answer("${settings}SET ROLE bob; $all SET ROLE alice; $all RESET ROLE; $all"), "4000\n21000\n25000", "roles of one session, $how");
}
is(answer("PREPARE f AS $all SET ROLE bob; EXECUTE f; RESET ROLE; EXECUTE f;"), "4000\n25000", 'roles of one plan');
is(as('bob', rows_of('SELECT x FROM all_sales')), '25000', "a view shows what its owner may see");
is(as('bob', rows_of('SELECT x FROM own_sales')), '4000', 'unless it is defined otherwise');
is(as('bob', 'SELECT fit_all()'), '25000', 'a function that runs as its owner fits what he may see');
like(error("SET row_security = off; $all", extra_params => [ '-U', 'bob' ]), qr/query would be affected by row-level security/, 'no row is left out silently');
like(error(rows_of('SELECT x FROM secret'), extra_params => [ '-U', 'bob' ]), qr/permission denied for table secret/, 'no rights, no fit');
my $model = q{SELECT tools.kmeans_fit_query('SELECT x FROM sales%s', 5)};
is(as('bob', sprintf($model, '')), answer(sprintf($model, " WHERE owner = ''bob''")), 'and the model is that of his rows');

# ---- queries that would write ----

answer(<<'END');
CREATE TABLE log (entry text);
CREATE SEQUENCE counter;
CREATE FUNCTION note(entry text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (entry); RETURN true; END $$;
CREATE FUNCTION note_anyway() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('transaction_read_only', 'off', false);
	RETURN note('anyway');
END $$;
CREATE FUNCTION note_if_possible() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN note('if possible');
EXCEPTION WHEN OTHERS THEN
	RETURN true;
END $$;
END

my %writing = (
	'SELECT x FROM sales WHERE note(owner)' => qr/cannot execute INSERT in a read-only transaction/,
	'SELECT x FROM sales WHERE note_anyway()' => qr/cannot set transaction read-write mode|must be set before any query/,
	q{SELECT x FROM sales WHERE nextval('counter') > 0} => qr/cannot execute nextval\(\) in a read-only transaction/,
	'SELECT x FROM sales FOR UPDATE' => qr/FOR UPDATE is not allowed/,
	'SELECT x INTO copy FROM sales' => qr/query must be a SELECT without INTO/,
	'CREATE TABLE copy AS SELECT x FROM sales' => qr/query must be a SELECT\n.*It is CREATE TABLE AS/,
	'WITH gone AS (DELETE FROM sales RETURNING x) SELECT x FROM gone' => qr/must be at the top level/,
	'DELETE FROM sales RETURNING x' => qr/query must be a SELECT\n.*It is DELETE/,
	'SELECT x FROM sales) AS q(x); DROP TABLE log; SELECT 1 FROM (SELECT 1' => qr/syntax error/,
	'SELECT x FROM sales; DELETE FROM log' => qr/query must be one statement/);

for my $query (sort keys %writing)
{
	(my $quoted = $query) =~ s/'/''/g;
	like(error(rows_of($quoted)), $writing{$query}, "refused: $query");
}
is(answer(rows_of('SELECT x FROM sales WHERE note_if_possible()')), '25000', 'a function that copes with that may be called');
is(answer('SELECT count(*) FROM log; SELECT last_value, is_called FROM counter; SELECT count(*) FROM sales'),
	"0\n1|f\n25000", 'nothing was written');

# The rest of the transaction is as it was.
is(answer(<<'END'), "25000\noff\nfits\nfailed\n2", 'afterwards, the transaction may write again');
BEGIN;
SELECT (tools.cluster_info(tools.kmeans_fit_query('SELECT x FROM sales', 2))).rows;
SHOW transaction_read_only;
INSERT INTO log VALUES ('fits') RETURNING entry;
DO $$
BEGIN
	PERFORM tools.kmeans_fit_query('SELECT x FROM sales WHERE note(owner)', 2);
EXCEPTION WHEN read_only_sql_transaction THEN
	INSERT INTO log VALUES ('failed');
END $$;
SELECT entry FROM log WHERE entry = 'failed';
SELECT count(*) FROM log;
ROLLBACK;
END
is(answer("BEGIN READ ONLY; $all SHOW transaction_read_only; COMMIT;"), "25000\non", 'and one that is read-only remains so');

# ---- hostile names ----

is(answer(not_called()), '', 'every function is called below');
my $expected = answer(everything('tools'));

# Whatever the statements could name: first on the search_path, each does nothing but complain.
answer('GRANT CREATE ON DATABASE postgres TO mallory');
as('mallory', <<'END');
CREATE SCHEMA evil;
CREATE DOMAIN evil.float8 AS pg_catalog.text CHECK (false);
CREATE DOMAIN evil.float4 AS pg_catalog.text CHECK (false);
CREATE DOMAIN evil.bool AS pg_catalog.text CHECK (false);
CREATE DOMAIN evil.varbit AS pg_catalog.text CHECK (false);
CREATE DOMAIN evil.bytea AS pg_catalog.text CHECK (false);
CREATE DOMAIN evil.jsonb AS pg_catalog.text CHECK (false);
CREATE DOMAIN evil.int4 AS pg_catalog.text CHECK (false);
CREATE DOMAIN evil.int8 AS pg_catalog.text CHECK (false);
DO $$
DECLARE
	p record;
BEGIN
	FOR p IN SELECT proname, pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.format_type(t, NULL) FROM pg_catalog.unnest(proargtypes) AS t
			WHERE t <> 'internal'::regtype), ', ') AS arguments
		FROM pg_catalog.pg_proc WHERE pronamespace = 'tools'::regnamespace
		UNION SELECT proname, 'double precision' FROM pg_catalog.pg_proc WHERE proname IN ('sum', 'count', 'float8', 'int4', 'bool')
	LOOP
		-- points as they are, for a better match than anyarray
		EXECUTE pg_catalog.format($f$ CREATE OR REPLACE FUNCTION evil.%I(%s) RETURNS bytea LANGUAGE plpgsql
			AS $b$ BEGIN RAISE EXCEPTION 'hijacked'; END $b$ $f$,
			p.proname, pg_catalog.replace(p.arguments, 'anyarray', 'double precision[]'));
	END LOOP;
	FOR p IN SELECT DISTINCT oprname, oprleft::regtype AS l, oprright::regtype AS r FROM pg_catalog.pg_operator
		WHERE oprleft = oprright AND oprleft IN ('float8'::regtype, 'int4'::regtype, 'int8'::regtype, 'bytea'::regtype, 'bool'::regtype,
			'text'::regtype, 'jsonb'::regtype, 'varbit'::regtype, 'name'::regtype, 'oid'::regtype)
	LOOP
		EXECUTE pg_catalog.format($f$ CREATE OR REPLACE FUNCTION evil.complain(%s, %s) RETURNS pg_catalog.bool LANGUAGE plpgsql
			AS $b$ BEGIN RAISE EXCEPTION 'hijacked'; END $b$ $f$, p.l, p.r);
		EXECUTE pg_catalog.format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil.complain)', p.oprname, p.l, p.r);
	END LOOP;
END $$;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
END
cmp_ok(answer(q{SELECT count(*) FROM pg_proc WHERE pronamespace = 'evil'::regnamespace}), '>', 60, 'hostile functions are there');
cmp_ok(answer(q{SELECT count(*) FROM pg_operator WHERE oprnamespace = 'evil'::regnamespace}), '>', 60, 'and hostile operators');

my $hostile = 'SET search_path = evil, pg_temp, pg_catalog, public, tools;';

like(error("$hostile SELECT 1 = 1"), qr/hijacked/, 'they are found where names are left open');
like(error("$hostile SELECT kmeans_fit(ARRAY[1.5::pg_catalog.float8], 1)"), qr/hijacked/, 'our names too');
is(answer($hostile . everything('tools')), $expected, 'but nothing of the extension calls them');

my $many = 'SELECT tools.%s_fit_query(%s, %s)';
my $source = "'SELECT x, i FROM public.sales'";
my $bits = "'SELECT i::pg_catalog.bit(20)::pg_catalog.varbit FROM public.sales'";
for my $fit (
	sprintf($many, 'kmeans', $source, 3),
	sprintf($many, 'kmeans', $source, q{3, '{"init": "random"}'}),
	sprintf($many, 'kmeans', q{'SELECT x::pg_catalog.float4[] FROM public.sales'}, q{3, '{"beta": 1}'}),
	sprintf($many, 'gmm', $source, q{2, '{"tol": 0.01}'}),
	sprintf($many, 'bernoulli', $bits, q{2, '{"tol": 0.01}'}))
{
	is(answer("$hostile $fit"), answer($fit), "nor many rows: $fit");
	unlike(error("$hostile $parallel $fit"), qr/ERROR/, 'nor their workers');
}

# The same in the schema of the extension, where everybody may create functions: beside each
# function that takes any array, one that takes an array of double precision, and so matches better.
answer('GRANT CREATE ON SCHEMA tools TO mallory');
as('mallory', <<'END');
DO $$
DECLARE
	p record;
BEGIN
	FOR p IN SELECT proname, array_to_string(ARRAY(SELECT format_type(t, NULL) FROM unnest(proargtypes) AS t), ', ') AS arguments
		FROM pg_proc WHERE pronamespace = 'tools'::regnamespace AND 'anyarray'::regtype = ANY (proargtypes)
			AND NOT 'internal'::regtype = ANY (proargtypes)
	LOOP
		EXECUTE format($f$ CREATE FUNCTION tools.%I(%s) RETURNS bytea LANGUAGE plpgsql
			AS $b$ BEGIN RAISE EXCEPTION 'hijacked'; END $b$ $f$,
			p.proname, replace(p.arguments, 'anyarray', 'double precision[]'));
	END LOOP;
END $$;
END
like(error('SELECT tools.kmeans_fit(x, 3) FROM sales'), qr/hijacked/, 'a better match is found in an open schema');
for my $fit (
	sprintf($many, 'kmeans', $source, 3),
	sprintf($many, 'gmm', $source, q{2, '{"tol": 0.01}'}),
	sprintf($many, 'bernoulli', $bits, q{2, '{"tol": 0.01}'}),
	sprintf($many, 'kmeans', q{'SELECT x FROM public.sales LIMIT 100'}, 3))
{
	unlike(error($fit), qr/ERROR/, "but not by fits over a query: $fit");
}

$node->stop;
done_testing();

# A session of psql that stays open, for tests of what a session leaves behind.

package Session;

use strict;
use warnings;

use IPC::Run;

sub new
{
	my ($class, $node) = @_;
	my $self = bless { in => '', out => '', err => '' }, $class;

	$self->{psql} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=0', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres') ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err},
		IPC::Run::timeout($ENV{CLUSTERING_TEST_LONG} ? 7200 : 600));
	$self->{pid} = $self->ask('SELECT pg_backend_pid();');
	return $self;
}

# Send statements without waiting for their end.
sub send
{
	my ($self, $sql) = @_;

	$self->{out} = $self->{err} = '';
	$self->{in} .= "$sql\n\\echo answered\n\\warn answered\n";
	$self->{psql}->pump_nb;
}

# Wait for the end of what was sent; returns what came out.
sub answer
{
	my ($self) = @_;

	$self->{psql}->pump until $self->{out} =~ /^answered\n/m && $self->{err} =~ /^answered\n/m;
	$self->{$_} =~ s/^answered\n//m for qw(out err);
	chomp $self->{out};
	return $self->{out};
}

sub ask
{
	my ($self, $sql) = @_;

	$self->send($sql);
	return $self->answer;
}

# Bytes that the session's memory contexts hold.
sub memory
{
	my ($self) = @_;

	return $self->ask('SELECT sum(total_bytes) FROM pg_backend_memory_contexts;');
}

# kB of the process, such as VmHWM (resident, at most), VmRSS or VmSize; undefined where there is no /proc.
sub process
{
	my ($self, $what) = @_;

	open(my $status, '<', "/proc/$self->{pid}/status") or return undef;
	my ($kb) = join('', <$status>) =~ /^$what:\s*(\d+) kB/m;
	close($status);
	return $kb;
}

sub quit
{
	my ($self) = @_;

	$self->{in} .= "\\q\n";
	$self->{psql}->finish;
}

1;

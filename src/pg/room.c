/*
 * room.c
 *		Room for the large arrays of a fit; see room.h.
 */
#include "room.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "commands/tablespace.h"
#include "executor/instrument.h"
#include "utils/wait_event.h"

/*
 * Bytes written at a time.  The kernel may keep them as one piece of its cache, and a fault makes
 * a whole piece resident: so pieces are small where little is to be resident, and large elsewhere,
 * which saves faults.
 */
#define SMALL_PIECE (32 * 1024)
#define LARGE_PIECE (1024 * 1024)

/* At most 64 MB and what is touched between two checks: a fault brings 64 kB. */
#define MOST_FAULTS 1024
#define CHECKS_PER_LOOK 16 /* at the faults, which is a system call */

/* Addresses cost nothing: far more of them than a fit can use. */
#define RESERVED_SIZE ((Size) 1 << (sizeof(void *) > 4 ? 40 : 28))

/* ---- temporary files ---- */

static void
close_with_context(void *file)
{
	clu_pg_file_close(file);
}

clu_pg_file *
clu_pg_file_open(bool by_context)
{
	clu_pg_file *file = palloc0(sizeof(clu_pg_file));

	PrepareTempTablespaces();
	file->file = OpenTemporaryFile(by_context);
	if (by_context)
	{
		MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

		callback->func = close_with_context;
		callback->arg = file;
		MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	}
	return file;
}

static void
append(clu_pg_file *file, const void *data, Size size, Size most)
{
	for (Size done = 0, piece; done < size; done += piece)
	{
		piece = Min(size - done, most);
		CHECK_FOR_INTERRUPTS();
		errno = 0;
		if (FileWrite(file->file, (char *) data + done, (int) piece, (off_t) file->size,
					  PG_WAIT_EXTENSION) != (int) piece)
		{
			if (errno == 0)
				errno = ENOSPC;
			ereport(ERROR, (errcode_for_file_access(),
							errmsg("could not write to a temporary file of a fit: %m")));
		}
		file->size += piece;
		pgBufferUsage.temp_blks_written += (int64) (piece / BLCKSZ);
	}
}

void
clu_pg_file_append(clu_pg_file *file, const void *data, Size size)
{
	append(file, data, size, SMALL_PIECE);
}

void
clu_pg_file_close(clu_pg_file *file)
{
	if (file->file > 0)
		FileClose(file->file);
	file->file = 0;
}

/* A file of zeros: every page of it is there. */
static clu_pg_file *
open_zeros(Size size, Size piece)
{
	clu_pg_file *file = clu_pg_file_open(false);
	char		*zeros = palloc0(Min(size, piece));

	while (file->size < size)
		append(file, zeros, Min(size - file->size, piece), piece);
	pfree(zeros);
	return file;
}

/* ---- addresses ---- */

static char *
reserve(char *address)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;

#ifdef MAP_NORESERVE
	flags |= MAP_NORESERVE;
#endif
	return mmap(address, RESERVED_SIZE, PROT_NONE, flags, -1, 0);
}

/*
 * Half way down from where a mapping lands that asks for no address: libraries grow from there,
 * and the heap far below.
 */
static char *
reserve_somewhere(void)
{
	char *top = mmap(NULL, BLCKSZ, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *got;

	if (top == MAP_FAILED)
		return NULL;
	munmap(top, BLCKSZ);
	got = reserve((char *) TYPEALIGN_DOWN((uintptr_t) 1 << 21, (uintptr_t) top / 2));
	return got == MAP_FAILED ? NULL : got;
}

/* ---- rooms ---- */

/* Mappings end with the memory; an error has closed the files already. */
static void
unmap_with_context(void *arg)
{
	clu_pg_room *room = arg;

	for (int i = 0; i < room->files; i++)
		if (room->mapped[i].size > 0)
			munmap(room->mapped[i].address, room->mapped[i].size);
	if (room->reserved != NULL)
		munmap(room->reserved, RESERVED_SIZE);
}

clu_pg_room *
clu_pg_room_new(Size limit, bool shared)
{
	clu_pg_room			  *room = palloc0(sizeof(clu_pg_room));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	room->limit = limit;
	if (shared && (room->reserved = reserve_somewhere()) == NULL)
		return NULL;
	callback->func = unmap_with_context;
	callback->arg = room;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return room;
}

/* Map so much of an open file, at an address or anywhere. */
static char *
map(int descriptor, char *address, Size size)
{
	char *got = mmap(address, size, PROT_READ | PROT_WRITE,
					 MAP_SHARED | (address != NULL ? MAP_FIXED : 0), descriptor, 0);

	if (got == MAP_FAILED)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY),
						errmsg("could not map a temporary file of a fit: %m")));
	return got;
}

static char *
next_address(const clu_pg_room *room, Size size)
{
	if (room->reserved == NULL)
		return NULL;
	if (size > RESERVED_SIZE - room->used)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a fit can't have more than %zu bytes of memory", RESERVED_SIZE)));
	return room->reserved + room->used;
}

static char *
map_file(clu_pg_room *room, clu_pg_file *file, bool owned)
{
	clu_pg_mapped *mapped = &room->mapped[room->files];
	Size		   page = (Size) sysconf(_SC_PAGESIZE);

	if (room->files == CLU_PG_MOST_MAPPED)
		elog(ERROR, "a fit has more than %d files", CLU_PG_MOST_MAPPED);
	(void) FileSize(file->file); /* opens it again, where it had to give way to other files */
	mapped->file = file;
	mapped->owned = owned;
	mapped->size = TYPEALIGN(page, file->size);
	mapped->address =
		map(FileGetRawDesc(file->file), next_address(room, mapped->size), mapped->size);
	room->used += mapped->size;
	room->files++;
	return mapped->address;
}

char *
clu_pg_room_map(clu_pg_room *room, clu_pg_file *file)
{
	return map_file(room, file, false);
}

static Size
piece_for(const clu_pg_room *room)
{
	return room->thrifty ? SMALL_PIECE : LARGE_PIECE;
}

char *
clu_pg_room_copy(clu_pg_room *room, const void *data, Size size)
{
	clu_pg_file *file = clu_pg_file_open(false);

	append(file, data, size, piece_for(room));
	return map_file(room, file, true);
}

void
clu_pg_room_arena(clu_pg_room *room, clu_arena *arena)
{
	if (arena->used > room->limit)
		room->thrifty = true;
	else if (room->reserved == NULL)
	{
		clu_pg_arena(arena, CurrentMemoryContext);
		return;
	}
	arena->base = map_file(room, open_zeros(arena->used + 1, piece_for(room)), true);
	arena->used = 0;
}

void
clu_pg_room_leave(clu_pg_room *room, int file)
{
	clu_pg_mapped *mapped = &room->mapped[file];

	if (mapped->size == 0)
		return;
	if (room->reserved == NULL)
		munmap(mapped->address, mapped->size);
	else
		/* nobody else's memory may come to lie among the reserved addresses */
		(void) mmap(mapped->address, mapped->size, PROT_NONE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (mapped->owned)
		clu_pg_file_close(mapped->file);
	mapped->size = 0;
}

void
clu_pg_room_end(clu_pg_room *room)
{
	for (int i = 0; i < room->files; i++)
		clu_pg_room_leave(room, i);
}

void
clu_pg_room_tidy(clu_pg_room *room)
{
	struct rusage usage;

	if (!room->thrifty || ++room->checks % CHECKS_PER_LOOK != 0 ||
		getrusage(RUSAGE_SELF, &usage) != 0 || usage.ru_minflt < room->faults + MOST_FAULTS)
		return;
	for (int i = 0; i < room->files; i++)
		if (room->mapped[i].size > 0)
			(void) madvise(room->mapped[i].address, room->mapped[i].size, MADV_DONTNEED);
	room->faults = usage.ru_minflt;
}

/* ---- the same room in another process ---- */

bool
clu_pg_room_enter(clu_pg_room *room, char *reserved)
{
	char *got = reserve(reserved);

	memset(room, 0, sizeof(*room));
	room->reserved = reserved;
	if (got == reserved)
		return true;
	if (got != MAP_FAILED)
		munmap(got, RESERVED_SIZE);
	return false;
}

void
clu_pg_room_join(clu_pg_room *room, const char *path, char *address, Size size)
{
	clu_pg_mapped *mapped = &room->mapped[room->files++];
	int			   descriptor;

	*mapped = (clu_pg_mapped) {.address = address, .size = size};
	if (size == 0)
		return;
	descriptor = OpenTransientFile(path, O_RDWR | PG_BINARY);
	if (descriptor < 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not open temporary file \"%s\": %m", path)));
	(void) map(descriptor, address, size);
	CloseTransientFile(descriptor);
}

/*
 * room.h
 *		Room for the large arrays of a fit: memory of the backend, or temporary files.
 *
 * A fit is written for points that lie in memory, and it may go through them in any order.  Where
 * they are more than work_mem allows, or other processes are to help with them, their memory is a
 * temporary file that is mapped.  What of it is resident then belongs to the kernel, which writes
 * it out and takes it away as it needs to; a thrifty room also lets go of its pages itself, every
 * few megabytes, so that a backend's resident memory stays small.
 *
 * The traps of mapped files: a page that cannot be had kills the process by SIGBUS.  So a file is
 * always written before it's mapped, which also counts it towards temp_file_limit, and a full
 * disk is an ordinary error.  (PostgreSQL's own dynamic_shared_memory_type = mmap does the same.)
 * A shared room lies at the same address in all processes of a team: the backends of a server are
 * forked from one process, so what is free in one of them is free in the others, as long as it
 * keeps away from where libraries and the heap grow.
 */
#ifndef CLU_PG_ROOM_H
#define CLU_PG_ROOM_H

#include "pg_clustering.h"

#include "storage/fd.h"

/* ---- temporary files that grow at their end ---- */

typedef struct clu_pg_file
{
	File file;
	Size size;
} clu_pg_file;

/*
 * In the current memory context.  Like all temporary files it ends with the transaction, or with
 * an error.  Before that it has to be closed; or it is by_context, and is closed when the memory
 * context goes.  Those are kept in the database's own tablespace, not in temp_tablespaces.
 */
extern clu_pg_file *clu_pg_file_open(bool by_context);
extern void			clu_pg_file_append(clu_pg_file *file, const void *data, Size size);
extern void			clu_pg_file_close(clu_pg_file *file);

/* ---- rooms ---- */

#define CLU_PG_MOST_MAPPED 16

typedef struct clu_pg_mapped
{
	clu_pg_file *file;
	bool		 owned; /* closed with the room */
	char		*address;
	Size		 size; /* 0: it isn't there any more */
} clu_pg_mapped;

typedef struct clu_pg_room
{
	Size		  limit;	/* arenas that are larger are files */
	bool		  thrifty;	/* with resident memory */
	char		 *reserved; /* addresses for the files, or NULL: anywhere */
	Size		  used;		/* of these */
	long		  faults;	/* of this process, when pages were last let go of */
	unsigned	  checks;	/* whether there is something to let go of */
	int			  files;
	clu_pg_mapped mapped[CLU_PG_MOST_MAPPED];
} clu_pg_room;

/*
 * A room in the current memory context, and gone with it.  A shared one has all its arenas in
 * files, at addresses that other processes can have too; where there are none, NULL.
 */
extern clu_pg_room *clu_pg_room_new(Size limit, bool shared);

/* Memory for an arena of this size, ready for the layout functions to be run again. */
extern void clu_pg_room_arena(clu_pg_room *room, clu_arena *arena);

/* Where the contents of a file can be seen. */
extern char *clu_pg_room_map(clu_pg_room *room, clu_pg_file *file);

/* A copy of what lies in memory, in a file. */
extern char *clu_pg_room_copy(clu_pg_room *room, const void *data, Size size);

/* Give back one of the files, or all of them. */
extern void clu_pg_room_leave(clu_pg_room *room, int file);
extern void clu_pg_room_end(clu_pg_room *room);

/* Let go of all resident pages where the room is thrifty and they have become many. */
extern void clu_pg_room_tidy(clu_pg_room *room);

/*
 * The same room in another process: false where the addresses are taken.  Its files are joined
 * one after the other.
 */
extern bool clu_pg_room_enter(clu_pg_room *room, char *reserved);
extern void clu_pg_room_join(clu_pg_room *room, const char *path, char *address, Size size);

#endif

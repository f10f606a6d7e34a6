/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * What the kernel's side and user space say to each other: the records in the rings, the verdicts, the counters.
 * record.rs and verdict.rs have the same structures in Rust; the sizes are asserted on both sides.
 */
#pragma once

/* ---- records ---- */

enum record_kind {
	RECORD_OPEN = 1,
	RECORD_HALVES = 2,
	RECORD_END = 3,
	RECORD_CLOSE = 4,
	RECORD_CONNECT_FAILED = 5,
	RECORD_PROGRESS = 6,
};

struct record {
	u32 kind;
	u32 verdict; /* number of the verdict that the socket obeyed: user space sees whether its last one arrived */
	u64 socket;
	u64 time_ns;
	u32 reset;   /* RECORD_CLOSE: whether it was one. RECORD_CONNECT_FAILED: the error, 0 where the process gave up */
	u32 halves;  /* RECORD_HALVES: how many follow */
};

/* RECORD_HALVES: what its halves have in common. */
struct record_halves {
	struct record header;
	u64 sent;     /* offsets near those of the halves: theirs have 32 bits */
	u64 received;
	u32 tgid;
	u32 unused;
};

/* One direction's part of an exchange: one call, or several of which no byte was wanted. Small, since each line of it
 * is cold when it is written, copied and read. Behind it stand its bytes, padded to 8: either the call's front, or pieces
 * (struct piece and its bytes, each padded to 8). */
struct half {
	u32 offset;   /* the lower half of it */
	u32 length;
	s32 first_ns; /* from the record's time on: events of two CPUs can be the wrong way round */
	s32 last_ns;
	u32 waited;   /* since the arrival of the first byte, in units of WAITED_NS; 0: not known */
	u16 flags;
	u16 bytes;    /* the front's, or those of all pieces with their headers and padding */
};

#define WAITED_NS 64

enum half_flag {
	HALF_SENT = 1,
	HALF_LOST = 2,   /* no byte could be had, though some were wanted */
	HALF_PIECES = 4,
};

struct piece {
	u32 place;
	u32 length;
};

/* RECORD_PROGRESS, once a second while a connection moves, and RECORD_CLOSE: how far it is, and what TCP knows of it. */
struct record_progress {
	struct record header;
	u64 sent;            /* offsets behind the last byte */
	u64 received;
	u32 round_trip_us;   /* smoothed; 0: not known */
	u32 retransmits;     /* segments, since the connection began */
	u32 segments;        /* sent, those that were retransmitted with them */
	u32 unused;
};

enum open_flag {
	OPEN_ACTIVE = 1,
	OPEN_PASSIVE = 2,
	OPEN_FROM_START = 4,
	OPEN_DATAGRAMS = 8,
};

#define UNIX_PATH_MAX 108

/* RECORD_OPEN and RECORD_CONNECT_FAILED, which has no key, and whose opening is the attempt's beginning. */
struct record_open {
	struct record header;
	u64 key[2];
	u64 netns;
	u64 opened_ns;
	u8 local[16];
	u8 remote[16];
	u16 local_port;
	u16 remote_port;
	u16 family;
	u16 flags;
	u32 tgid;
	u32 connect_us;  /* how long it took to connect; 0: not known, or not the one who connected */
	u32 retransmits; /* RECORD_CONNECT_FAILED */
	u32 unix_path_bytes;
	u8 unix_path[UNIX_PATH_MAX + 4];
};

/* ---- verdicts ---- */

enum mode {
	MODE_UNDECIDED = 0,
	MODE_HEAD = 1,
	MODE_ALL = 2,
	MODE_TYPE_LENGTH = 3, /* framed: a type byte and a big-endian length that counts itself */
	MODE_RESP = 4,        /* framed: long bulk strings are elided */
	MODE_TIMES = 5,
	MODE_IGNORE = 6,
	MODE_FORGET = 7, /* a flow of datagrams ends, and what comes next opens another */
};

struct verdict {
	u32 number;
	u32 mode;
	u64 limit;
	u64 skip_sent_until;
	u64 skip_received_until;
};

/* A slot counts the verdicts for its sockets (those with the same cookie modulo the number of slots), so that an event
 * looks into the table only when there is something new. Few, so that they stay in the caches. */
#define VERDICT_SLOTS 512
struct slots {
	u32 count[VERDICT_SLOTS];
};

/* ---- options, set before the programs are loaded ---- */

struct options {
	u32 rings;           /* a power of two */
	u32 wakeup_bytes;    /* a consumer is woken when its ring holds this much; below, its own timer serves */
	u32 undecided_head;
	u32 undecided_tail;
	u32 arrivals;
	u32 unused;
};

/* ---- own processes ---- */

#define OWN_MAX 8
struct own {
	u32 tgid[OWN_MAX];
};

/* What user space says once it is so. */
enum progress {
	OLD_SOCKETS_MARKED = 0,
	PROGRESS_MAX,
};

/* ---- counters, one set per CPU ---- */

enum counter {
	COUNT_RING_FULL,
	COUNT_RING_FULL_BYTES,
	COUNT_STORAGE_FULL,
	COUNT_PAYLOAD_FAULT,
	COUNT_NO_PAYLOAD,
	COUNT_COMPAT_CALL,
	COUNT_KERNEL_TASK,
	COUNT_OTHER_DESCRIPTOR,
	COUNT_OWN,
	COUNT_CALLS,
	COUNT_BUSY,
	COUNT_IO_URING,
	COUNT_SENDER_UNKNOWN,
	COUNT_FLOWS_FULL,
	COUNTERS,
};

struct counters {
	u64 count[COUNTERS];
};

_Static_assert(sizeof(struct record) == 32, "record.rs has the same structure");
_Static_assert(sizeof(struct record_halves) == 56, "record.rs has the same structure");
_Static_assert(sizeof(struct half) == 24, "record.rs has the same structure");
_Static_assert(sizeof(struct piece) == 8, "record.rs has the same structure");
_Static_assert(sizeof(struct record_progress) == 64, "record.rs has the same structure");
_Static_assert(sizeof(struct record_open) == 232, "record.rs has the same structure");
_Static_assert(sizeof(struct verdict) == 32, "verdict.rs has the same structure");
_Static_assert(sizeof(struct options) == 24, "load.rs has the same structure");

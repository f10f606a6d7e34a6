/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * Few records. Nearly all of an event's cost is its record's way through the ring, so the halves of an exchange wait
 * in the socket's storage and leave together: at the answer, when there is no more room, at the close, or, found by
 * the sweep, after a second. On a connection whose exchanges follow each other closely, several leave together: the
 * consumer too finds what it knows of the connection in its caches then.
 */
#pragma once

/* Exchanges that are further apart than this leave one by one. */
#define CLOSE_NS 3000000ull
/* A half does not grow beyond this: its place in the stream is told by 32 bits. */
#define GROWN_MAX (1u << 30)
/* Halves whose answer does not come leave after this time. */
#define WAITING_MAX_NS 900000000ll
/* For so long at most exchanges wait for others. */
#define BATCH_NS 10000000ull

static __always_inline void fill_record(struct record *header, u64 id, u32 verdict, u32 kind, u64 now)
{
	header->kind = kind;
	header->verdict = verdict;
	header->socket = id;
	header->time_ns = now;
	header->reset = 0;
	header->halves = 0;
}

static __always_inline void fill_header(struct record *header, struct connection *connection, u32 kind, u64 now)
{
	fill_record(header, connection->cookie, connection->verdict, kind, now);
}

static __always_inline void fill_halves_header(struct record_halves *header, struct connection *connection, u64 now,
						u32 tgid, u32 halves)
{
	fill_header(&header->header, connection, RECORD_HALVES, now);
	header->header.halves = halves;
	header->sent = connection->sent;
	header->received = connection->received;
	header->tgid = tgid;
	header->unused = 0;
}

static __always_inline u32 waited(struct call *call)
{
	u64 units;

	if (!call->arrived_ns)
		return 0;
	units = call->now > call->arrived_ns ? (call->now - call->arrived_ns) / WAITED_NS : 0;
	return units < 0xfffffffe ? units + 1 : 0xffffffff;
}

/* `since`: the time of the record. */
static __always_inline void fill_half(struct half *half, struct call *call, u64 since)
{
	half->offset = call->offset;
	half->length = call->length;
	half->first_ns = half->last_ns = call->now - since;
	half->waited = waited(call);
	half->flags = call->sent ? HALF_SENT : 0;
	if (call->wanted && !call->readable)
		half->flags |= HALF_LOST;
	half->bytes = 0;
}

/* Submits what waits. Called with the lock. */
static __always_inline void flush_waiting(struct connection *connection)
{
	u32 bytes = connection->waiting_bytes;

	if (!bytes || bytes > WAITING_BYTES)
		return;
	/* The header is filled only now: while halves are added its line is not touched. */
	fill_halves_header(&connection->waiting.header, connection, connection->waiting_since_ns,
			   connection->waiting_tgid, connection->waiting_halves);
	connection->waiting_bytes = 0;
	connection->waiting_halves = 0;
	connection->last_grows = 0;
	if (!submit(connection->ring, &connection->waiting, sizeof(struct record_halves) + bytes))
		count(COUNT_RING_FULL_BYTES, bytes);
}

/* The same without the lock. */
static __always_inline void flush(struct connection *connection)
{
	if (lock(connection)) {
		flush_waiting(connection);
		unlock(connection);
	}
}

/* By the sweep: halves whose answer does not come leave after a while. */
static __always_inline void flush_overdue(struct connection *connection, u64 now)
{
	if (connection->waiting_bytes && now - connection->waiting_since_ns >= WAITING_MAX_NS)
		flush(connection);
}

static __always_inline u8 growing(struct call *call)
{
	return call->sent ? 1 : 2;
}

/* The half of the last call, if this one only continues it and no byte is wanted: then it grows. */
static __always_inline bool extend_waiting(struct connection *connection, struct call *call)
{
	u32 at = connection->last_half;
	struct half *half;

	if (connection->last_grows != growing(call) || call->wanted || connection->last_end != call->offset ||
	    at > WAITING_BYTES - sizeof(struct half))
		return false;
	half = (struct half *)&connection->waiting.halves[at];
	if (half->length + call->length > GROWN_MAX)
		return false;
	half->length += call->length;
	half->last_ns = call->now - connection->waiting_since_ns;
	connection->last_end += call->length;
	return true;
}

/* A half behind the others, with `want` bytes of the call. The two limits are the same for the verifier's sake: it knows
 * that `at` and `want` are each below something, not that their sum is. */
static __always_inline u32 add_waiting(struct connection *connection, u32 at, struct call *call, u32 want, u32 most)
{
	struct half *half;
	u8 *to;

	barrier_var(at);
	if (at > WAITING_BYTES - sizeof(struct half) - most)
		return 0;
	half = (struct half *)&connection->waiting.halves[at];
	fill_half(half, call, connection->waiting_since_ns);
	if (!want)
		return sizeof(struct half);
	to = (u8 *)(half + 1);
	if (!(most == WAITING_SHORT ? copy_one(to, call, want, most) : copy_to_waiting(to, call, want))) {
		count(COUNT_PAYLOAD_FAULT, 1);
		half->flags |= HALF_LOST;
		return sizeof(struct half);
	}
	half->bytes = want;
	return sizeof(struct half) + ((want + 7) & (2 * WAITING_PIECE - 8));
}

/* Lets a half wait. Called with the lock. */
static __always_inline void wait_half(struct connection *connection, struct call *call)
{
	u32 want = call->wanted && call->readable ? call->copied : 0;
	bool is_short = want <= WAITING_SHORT && !call->buffers.vectors;
	u32 most = is_short ? WAITING_SHORT : WAITING_PIECE;
	u32 at, added;

	if (want > WAITING_PIECE)
		want = WAITING_PIECE;
	if (connection->waiting_bytes > WAITING_BYTES - sizeof(struct half) - most)
		flush_waiting(connection);
	at = connection->waiting_bytes;
	if (at == 0) {
		connection->waiting_since_ns = call->now;
		connection->waiting_tgid = call->tgid;
	}
	added = is_short ? add_waiting(connection, at, call, want, WAITING_SHORT)
			 : add_waiting(connection, at, call, want, WAITING_PIECE);
	if (!added)
		return;
	connection->last_half = at;
	connection->last_end = call->offset + call->length;
	connection->last_grows = want ? 0 : growing(call);
	connection->waiting_halves++;
	connection->waiting_bytes = at + added;
}

/* An exchange is complete with the first half of its answer: what follows of that waits for the next one. */
static __always_inline bool is_answer(struct connection *connection, struct call *call)
{
	bool asked = connection->flags & OPEN_ACTIVE ? !call->sent : call->sent;

	return asked && connection->waiting_halves > 1;
}

/* Whether to wait for more exchanges. While undecided nothing waits: the verdict depends on what is seen. */
static __always_inline bool batches(struct connection *connection, u64 now)
{
	u64 before = connection->answered_ns;

	connection->answered_ns = now;
	return connection->mode != MODE_UNDECIDED && now - before < CLOSE_NS &&
	       now - connection->waiting_since_ns < BATCH_NS;
}

/* Times of halves have 31 bits, and all of a record are of one process. */
static __always_inline bool fits(struct connection *connection, struct call *call)
{
	return connection->waiting_tgid == call->tgid && (s64)(call->now - connection->waiting_since_ns) < WAITING_MAX_NS;
}

/* Called with the lock. */
static __always_inline void exchange(struct connection *connection, struct call *call)
{
	if (connection->waiting_bytes && !fits(connection, call))
		flush_waiting(connection);
	if (extend_waiting(connection, call))
		return;
	wait_half(connection, call);
	/* The end of a Unix socket makes no event, so what waits would go with it. */
	if (connection->family == AF_UNIX || (is_answer(connection, call) && !batches(connection, call->now)))
		flush_waiting(connection);
}

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
/* For so long at most exchanges wait for others. */
#define BATCH_NS 10000000ull

static __always_inline void fill_header(struct record *header, struct connection *connection, u32 kind, u64 now)
{
	header->kind = kind;
	header->verdict = connection->verdict;
	header->socket = connection->cookie;
	header->time_ns = now;
	header->reset = 0;
	header->halves = 0;
}

static __always_inline void fill_half(struct half *half, struct call *call)
{
	half->offset = call->offset;
	half->length = call->length;
	half->first_ns = half->last_ns = call->now;
	half->arrived_ns = call->arrived_ns;
	half->tgid = call->tgid;
	half->flags = call->sent ? HALF_SENT : 0;
	if (call->wanted && !call->readable)
		half->flags |= HALF_LOST;
	half->pieces = 0;
	half->bytes = 0;
	half->unused = 0;
}

/* Submits what waits. Called with the lock. */
static __always_inline void flush_waiting(struct connection *connection)
{
	u32 bytes = connection->waiting_bytes;

	if (!bytes || bytes > WAITING_BYTES)
		return;
	/* The header is filled only now: while halves are added its line is not touched. */
	fill_header(&connection->waiting.header, connection, RECORD_HALVES, connection->waiting_since_ns);
	connection->waiting.header.halves = connection->waiting_halves;
	connection->waiting_bytes = 0;
	connection->waiting_halves = 0;
	connection->last_grows = 0;
	if (!submit(connection->ring, &connection->waiting, sizeof(struct record) + bytes))
		count(COUNT_RING_FULL_BYTES, bytes);
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
	half->length += call->length;
	half->last_ns = call->now;
	half->tgid = call->tgid;
	connection->last_end += call->length;
	return true;
}

static __always_inline void copy_waiting_piece(struct connection *connection, struct half *half, u32 at,
					       struct call *call)
{
	u32 want = call->copied;
	struct piece *piece = (struct piece *)(half + 1);

	if (!call->wanted || !call->readable)
		return;
	if (want > WAITING_PIECE)
		want = WAITING_PIECE;
	piece->place = 0;
	piece->length = want;
	if (!copy_to_waiting(connection->waiting.halves + at + sizeof(*half) + sizeof(*piece), call, want)) {
		count(COUNT_PAYLOAD_FAULT, 1);
		half->flags |= HALF_LOST;
		return;
	}
	half->pieces = 1;
	half->bytes = sizeof(*piece) + ((want + 7) & ~7u);
}

/* Lets a half wait. Called with the lock. */
static __always_inline void wait_half(struct connection *connection, struct call *call)
{
	struct half *half;
	u32 at;

	if (connection->waiting_bytes > WAITING_BYTES - WAITING_HALF)
		flush_waiting(connection);
	at = connection->waiting_bytes;
	if (at > WAITING_BYTES - WAITING_HALF)
		return;
	if (at == 0)
		connection->waiting_since_ns = call->now;
	half = (struct half *)&connection->waiting.halves[at];
	fill_half(half, call);
	copy_waiting_piece(connection, half, at, call);
	connection->last_half = at;
	connection->last_end = call->offset + call->length;
	connection->last_grows = half->pieces ? 0 : growing(call);
	connection->waiting_halves++;
	connection->waiting_bytes = at + sizeof(*half) + (half->bytes & 1023);
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

/* Called with the lock. */
static __always_inline void exchange(struct connection *connection, struct call *call)
{
	if (extend_waiting(connection, call))
		return;
	wait_half(connection, call);
	/* The end of a Unix socket makes no event, so what waits would go with it. */
	if (connection->family == AF_UNIX || (is_answer(connection, call) && !batches(connection, call->now)))
		flush_waiting(connection);
}

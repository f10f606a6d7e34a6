/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * Records that leave at once: openings, closings, and calls whose bytes do not fit into a waiting exchange.
 */
#pragma once

#define CHUNKS 16                    /* of a call at most: 256 KiB */
#define UNDECIDED_CALL (128 * 1024)  /* of a call, while undecided: a pipeline of 100 commands of 1 KiB is whole */
#define UNDECIDED_WHOLE (512 * 1024) /* so much of an undecided connection is copied whole */
#define UNDECIDED_WAKE (16 * 1024)   /* after so much of it the verdict is worth waking user space for */

static __always_inline void unix_path(struct record_open *open, struct sock *sk)
{
	struct unix_sock *unix = unix_of(sk);
	struct unix_address *address;
	int length;

	if (!unix)
		return;
	address = FIELD(unix, addr);
	/* Who connects has no name: the name of the one who listens is the connection's. */
	if (!address) {
		struct unix_sock *peer = (struct unix_sock *)FIELD(unix, peer);

		address = BPF_CORE_READ(peer, addr);
	}
	if (!address)
		return;
	length = BPF_CORE_READ(address, len) - (int)sizeof(unsigned short);
	if (length <= 0)
		return;
	if (length > UNIX_PATH_MAX)
		length = UNIX_PATH_MAX;
	open->unix_path_bytes = length;
	bpf_probe_read_kernel(open->unix_path, UNIX_PATH_MAX, (void *)address->name + sizeof(unsigned short));
}

static __always_inline void fill_open(struct record_open *open, struct connection *connection, u32 tgid, u64 now)
{
	fill_header(&open->header, connection, RECORD_OPEN, now);
	open->key[0] = connection->key[0];
	open->key[1] = connection->key[1];
	open->netns = connection->netns;
	open->opened_ns = connection->opened_ns;
	__builtin_memcpy(open->local, connection->local, sizeof(open->local));
	__builtin_memcpy(open->remote, connection->remote, sizeof(open->remote));
	open->local_port = connection->local_port;
	open->remote_port = connection->remote_port;
	open->family = connection->family;
	open->flags = connection->flags;
	open->tgid = tgid;
	open->connect_us = connection->connect_us;
}

/* Before the first record of a socket, what it is. A function of its own: it is called once a socket. The record is made in
 * the scratch area, since all calls of a program together have 512 bytes of stack. */
static __noinline bool tell(struct connection *connection, struct sock *sk, u32 tgid, u64 now, u32 area)
{
	struct record_open *open = (struct record_open *)scratch_of(area);

	if (!open)
		return false;
	__builtin_memset(open, 0, sizeof(*open));
	fill_open(open, connection, tgid, now);
	if (open->family == AF_UNIX)
		unix_path(open, sk);
	connection->told = submit(connection->ring, open, sizeof(*open));
	return connection->told;
}

/* `sk`: NULL for what is no socket. */
static __always_inline void fill_progress(struct record_progress *record, struct connection *connection,
					  struct sock *sk, u32 kind, u64 now)
{
	struct tcp_sock *tcp = sk && is_tcp(sk) ? tcp_of(sk) : NULL;

	fill_header(&record->header, connection, kind, now);
	record->sent = connection->sent;
	record->received = connection->received;
	record->round_trip_us = record->retransmits = record->segments = record->unused = 0;
	if (!tcp)
		return;
	record->round_trip_us = FIELD(tcp, srtt_us) >> 3;
	record->retransmits = FIELD(tcp, total_retrans);
	record->segments = FIELD(tcp, segs_out);
}

static SELDOM int tell_close(struct connection *connection, struct sock *sk, u64 now, u32 reset)
{
	struct record_progress record;

	flush(connection);
	fill_progress(&record, connection, sk, RECORD_CLOSE, now);
	record.header.reset = reset;
	connection->told = 0;
	return submit(connection->ring, &record, sizeof(record));
}

static __always_inline bool submit_scratch(struct connection *connection, struct scratch *scratch)
{
	u64 bytes = scratch->half.bytes;
	bool wake = connection->mode == MODE_UNDECIDED && connection->undecided_bytes >= UNDECIDED_WAKE;

	barrier_var(bytes);
	if (bytes > 2 * CHUNK)
		return false;
	if (submit_and_wake(connection->ring, scratch, sizeof(struct record_halves) + sizeof(struct half) + bytes, wake))
		return true;
	count(COUNT_RING_FULL_BYTES, bytes);
	return false;
}

/* Part of a call: `length` bytes from `from` on, the first `head` and the last `tail` of them copied. */
struct part {
	u64 from;
	u64 length;
	u32 head;
	u32 tail;
};

/* False when the ring is full. (The verifier looks at r0 of a void function too, where clang leaves a pointer to the
 * stack: a result that is used avoids that.) */
static __noinline bool send_part(struct connection *connection, struct scratch *scratch, struct call *call,
				struct part *part)
{
	u64 end = part->from + part->length;

	fill_halves_header(&scratch->header, connection, call->now, call->tgid, 1);
	fill_half(&scratch->half, call, call->now);
	scratch->half.offset = call->offset + part->from;
	scratch->half.length = part->length;
	if (call->readable && part->head)
		if (add_piece(scratch, call, part->from, 0, part->head) && part->tail)
			add_piece(scratch, call, end - part->tail, part->length - part->tail, part->tail);
	return submit_scratch(connection, scratch);
}

/* Up to `limit` bytes from the front of the call, in records of CHUNK bytes; the last one counts what was not copied. */
static __always_inline void send_front(struct connection *connection, struct scratch *scratch, struct call *call,
				       u64 limit)
{
	u64 copied = call->length < limit ? call->length : limit;
	struct part part = {};

	if (copied > CHUNKS * CHUNK)
		copied = CHUNKS * CHUNK;
	for (int i = 0; i < CHUNKS; i++) {
		u64 rest = copied - part.from;

		/* clang 21 finds that `copied` ends the loop too and drops the count; the verifier does not find that. */
		barrier_var(i);
		part.head = rest > CHUNK ? CHUNK : rest;
		part.length = rest > CHUNK ? CHUNK : call->length - part.from;
		if (!send_part(connection, scratch, call, &part) || rest <= CHUNK)
			return;
		part.from += CHUNK;
	}
}

static __always_inline void send_undecided(struct connection *connection, struct scratch *scratch, struct call *call)
{
	struct part part = {
		.length = call->length,
		.head = options.undecided_head,
		.tail = options.undecided_tail,
	};

	if (connection->undecided_bytes < UNDECIDED_WHOLE || call->length <= part.head + part.tail) {
		connection->undecided_bytes += call->length > UNDECIDED_CALL ? UNDECIDED_CALL : call->length;
		send_front(connection, scratch, call, UNDECIDED_CALL);
		return;
	}
	send_part(connection, scratch, call, &part);
}

#ifdef STATE_IN_HASH

/* A global function with numbers alone: the verifier goes through the loops once. */
__noinline int send_now_of(u64 address, u64 limit, u32 area, u32 undecided)
{
	struct connection *connection = state_at(address);
	struct scratch *scratch = scratch_of(area & (AREAS - 1));

	if (!connection || !scratch)
		return 0;
	if (undecided)
		send_undecided(connection, scratch, &scratch->call);
	else
		send_front(connection, scratch, &scratch->call, limit);
	return 0;
}

#endif

static __always_inline void send_now(struct connection *connection, struct scratch *scratch, struct call *call, u64 limit,
				     bool undecided)
{
#ifdef STATE_IN_HASH
	send_now_of(connection->address, limit, call->area, undecided);
#else
	if (undecided)
		send_undecided(connection, scratch, call);
	else
		send_front(connection, scratch, call, limit);
#endif
}

/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * Copies the user's bytes. The destination is the waiting exchange of a connection, or a scratch area of this CPU for
 * what is longer.
 */
#pragma once

#define CHUNK 16384 /* bytes of a record at most */

/* One call, as the front ends and the guards have found it. */
struct call {
	u64 now;
	u64 offset;
	u64 length;
	u64 arrived_ns;
	u64 copied; /* bytes from the front that are copied */
	struct buffers buffers;
	u32 tgid;
	u32 area; /* of the scratches */
	bool sent;
	bool readable; /* the buffers are there */
	bool wanted;   /* some bytes are needed */
};

/* Areas of a CPU: one for each direction of the sockets' programs, which do not interrupt each other within a direction,
 * and the rest for the programs on user functions, each of which takes one that is free: some kernels let them be
 * interrupted by each other. */
#define AREAS 4
#define AREAS_OF_SOCKETS 2

struct scratch {
	struct record_halves header;
	struct half half;
	u8 pieces[3 * CHUNK];
	u32 taken;
	u32 unused;
#ifdef STATE_IN_HASH
	struct call call;
#endif
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AREAS); /* for each CPU, set before loading */
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline struct scratch *scratch_of(u32 area)
{
	u32 index = bpf_get_smp_processor_id() * AREAS + area;

	return bpf_map_lookup_elem(&scratches, &index);
}

/* Where what is known of a call is kept while it is looked at: the stack, where that is long enough. */
static __always_inline struct call *room_for_call(struct call *on_stack, u32 area)
{
#ifdef STATE_IN_HASH
	struct scratch *scratch = scratch_of(area);
	struct call *call = scratch ? &scratch->call : NULL;
#else
	struct call *call = on_stack;
#endif

	if (call)
		call->area = area;
	return call;
}

/* Gathers `want` bytes of the call, from its byte `from` on, out of a vector of buffers into the scratch area at `at`. */
static __always_inline int gather_parts(u64 vector, u32 vectors, u32 from, u32 want, u32 at, u32 area)
{
	struct scratch *scratch = scratch_of(area & (AREAS - 1));
	struct iovec part;
	u64 length;

	if (!scratch)
		return -1;
	for (u32 i = 0; i < IOVECS_MAX && want; i++) {
		if (i >= vectors)
			return -1;
		if (bpf_probe_read_user(&part, sizeof(part), (void *)(vector + i * sizeof(part))))
			return -1;
		if (from >= part.iov_len) {
			from -= part.iov_len;
			continue;
		}
		length = part.iov_len - from;
		if (length > want)
			length = want;
		barrier_var(length);
		if (length > CHUNK)
			return -1;
		MASK(length, 2 * CHUNK - 1);
		at &= 2 * CHUNK - 1;
		if (bpf_probe_read_user(scratch->pieces + at, length, part.iov_base + from))
			return -1;
		at += length;
		want -= length;
		from = 0;
	}
	return want ? -1 : 0;
}

/* A global function, so that the verifier goes through the loop once and not once for each caller. Before 5.12 such a
 * function takes no pointers. */
#ifndef STATE_IN_HASH
__noinline int gather(struct buffers *buffers, u32 from, u32 want, u32 at, u32 area)
{
	return buffers ? gather_parts(buffers->vector, buffers->vectors, from, want, at, area) : -1;
}
#else
__noinline int gather_numbers(u64 vector, u32 vectors_and_area, u32 from, u32 want, u32 at)
{
	return gather_parts(vector, vectors_and_area / AREAS, from, want, at, vectors_and_area);
}

static __always_inline int gather(struct buffers *buffers, u32 from, u32 want, u32 at, u32 area)
{
	return gather_numbers(buffers->vector, buffers->vectors * AREAS | area, from, want, at);
}
#endif

/* The same for any call, with the one buffer of most calls first. */
static __always_inline bool copy_to_scratch(struct scratch *scratch, u32 at, struct call *call, u64 from, u32 want)
{
	if (call->buffers.vectors)
		return gather(&call->buffers, from, want, at, call->area) == 0;
	barrier_var(want);
	if (want > CHUNK)
		return false;
	at &= 2 * CHUNK - 1;
	return bpf_probe_read_user(scratch->pieces + at, want, (void *)(call->buffers.base + from)) == 0;
}

/* Out of one buffer, `most` bytes at most. */
static __always_inline bool copy_one(u8 *to, struct call *call, u32 want, u32 most)
{
	barrier_var(want);
	if (want > most)
		return false;
	return bpf_probe_read_user(to, want, (void *)call->buffers.base) == 0;
}

#define EACH_OF_TWO (WAITING_PIECE / 2 - 1)

/* A head and a body behind it, both short: two buffers are nearly as common as one, and go straight to where they belong.
 * False: they are not short, or cannot be read. */
static __always_inline bool copy_two(u8 *to, struct call *call, u32 want)
{
	struct iovec parts[2];
	u64 first, rest;

	if (call->buffers.vectors != 2 || bpf_probe_read_user(parts, sizeof(parts), (void *)call->buffers.vector))
		return false;
	first = parts[0].iov_len < want ? parts[0].iov_len : want;
	rest = want - first;
	if (first > EACH_OF_TWO || rest > EACH_OF_TWO)
		return false;
	/* 6.1 forgets what was compared once the compiler keeps it on the stack; a mask it cannot miss. */
	barrier_var(first);
	barrier_var(rest);
	first &= EACH_OF_TWO;
	rest &= EACH_OF_TWO;
	return bpf_probe_read_user(to, first, parts[0].iov_base) == 0 &&
	       bpf_probe_read_user(to + first, rest, parts[1].iov_base) == 0;
}

/* The front of the call to where halves wait. */
static __always_inline bool copy_to_waiting(u8 *to, struct call *call, u32 want)
{
	struct scratch *scratch;

	if (!call->buffers.vectors)
		return copy_one(to, call, want, WAITING_PIECE);
	if (copy_two(to, call, want))
		return true;
	scratch = scratch_of(call->area);
	if (!scratch || gather(&call->buffers, 0, want, 0, call->area))
		return false;
	barrier_var(want);
	if (want > WAITING_PIECE)
		return false;
	return bpf_probe_read_kernel(to, want, scratch->pieces) == 0;
}

/* Adds a piece to the half in the scratch area. */
static __always_inline bool add_piece(struct scratch *scratch, struct call *call, u64 from, u64 place, u32 want)
{
	u32 at = scratch->half.bytes & (2 * CHUNK - 1);
	struct piece *piece = (struct piece *)&scratch->pieces[at];

	piece->place = place;
	piece->length = want;
	if (!copy_to_scratch(scratch, at + sizeof(*piece), call, from, want)) {
		count(COUNT_PAYLOAD_FAULT, 1);
		scratch->half.flags |= HALF_LOST;
		return false;
	}
	scratch->half.bytes = at + sizeof(*piece) + ((want + 7) & ~7u);
	scratch->half.flags |= HALF_PIECES;
	return true;
}

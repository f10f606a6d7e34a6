/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * Run by user space about once a second over all sockets: halves whose answer does not come leave after a
 * while, connections that have moved tell how far they are, and the Unix sockets that are still there are named, since
 * their end has no tracepoint.
 */
#pragma once

static __always_inline void report_progress(struct connection *connection, struct sock *sk, u64 now)
{
	struct record_progress record;
	u32 moved;

	fill_progress(&record, connection, sk, RECORD_PROGRESS, now);
	moved = record.sent + record.received + record.retransmits;
	if (moved != connection->reported && submit(connection->ring, &record, sizeof(record)))
		connection->reported = moved;
}

/* A client that says nothing, and hears nothing either, is not told of by any call: it may wait for a server that never
 * greets it. */
#define SILENT_NS 1000000000ull

static __noinline int tell_silent(struct connection *connection, struct sock *sk, u64 now)
{
	struct record_open open = {};

	if (!connection->known || connection->flags != (OPEN_ACTIVE | OPEN_FROM_START) ||
	    FIELD(sk, __sk_common.skc_state) != TCP_ESTABLISHED || connection->sent || connection->received ||
	    now - connection->opened_ns < SILENT_NS || is_own(connection->waiting_tgid))
		return 0;
	fill_open(&open, connection, connection->waiting_tgid, now);
	connection->told = submit(connection->ring, &open, sizeof(open));
	return 0;
}

static __always_inline void visit(struct sock *sk, struct seq_file *seq)
{
	struct connection *connection = state_of(sk);

	u64 now = bpf_ktime_get_ns();

	if (!connection)
		return;
	if (!connection->told) {
		tell_silent(connection, sk, now);
		return;
	}
	if (connection->family == AF_UNIX)
		bpf_seq_write(seq, &connection->cookie, sizeof(connection->cookie));
	report_progress(connection, sk, now);
	if (connection->flags & CONNECTION_TLS)
		sweep_plaintext(connection, now);
	flush_overdue(connection, now);
}

#ifndef STATE_IN_HASH

/* Only the sockets with storage: the cheap way. Some kernels refuse it. */
SEC("iter/bpf_sk_storage_map")
int sweep_storage(struct bpf_iter__bpf_sk_storage_map *context)
{
	struct sock *sk = context->sk;

	if (sk)
		visit(sk, context->meta->seq);
	return 0;
}

#else

SEC("iter/bpf_map_elem")
int sweep_storage(struct bpf_iter__bpf_map_elem *context)
{
	u64 *key = context->key;

	if (key)
		visit((struct sock *)*key, context->meta->seq);
	return 0;
}

#endif

/* All open files of all tasks, in all network namespaces. */
SEC("iter/task_file")
int sweep_files(struct bpf_iter__task_file *context)
{
	struct file *file = context->file;
	struct socket *socket;
	struct sock *sk;

	if (!file)
		return 0;
	socket = socket_of(file);
	if (!socket)
		return 0;
	sk = FIELD(socket, sk);
	if (sk)
		visit(sk, context->meta->seq);
	return 0;
}

/* Run once, when everything is attached: what the Unix sockets that are there already have moved was not counted. Those
 * that are first seen after it are seen from their first byte on. */
SEC("iter/task_file")
int mark_old_files(struct bpf_iter__task_file *context)
{
	struct file *file = context->file;
	struct connection *connection;
	struct socket *socket;
	struct sock *sk;

	if (!file)
		return 0;
	socket = socket_of(file);
	if (!socket)
		return 0;
	sk = FIELD(socket, sk);
	if (!sk || !is_unix_stream(sk) || FIELD(sk, __sk_common.skc_state) != TCP_ESTABLISHED)
		return 0;
	connection = make_state(sk);
	if (connection && !connection->known)
		learn(connection, sk, 0, bpf_ktime_get_ns());
	return 0;
}

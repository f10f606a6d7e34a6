/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * The beginning and the end of TCP connections. Addresses are taken when the connection is made: after a reset they
 * are gone.
 */
#pragma once

/* Whatever the socket was used for before, a connection begins. */
static __always_inline void on_connecting(struct sock *sk)
{
	struct task_struct *task = current_task();
	struct connection *connection;

	if (FIELD(task, flags) & PF_KTHREAD)
		return;
	connection = make_state(sk);
	if (!connection) {
		count(COUNT_STORAGE_FULL, 1);
		return;
	}
	connection->known = connection->told = connection->ended = 0;
	connection->mode = MODE_UNDECIDED;
	connection->undecided_bytes = 0;
	connection->skip_sent_until = connection->skip_received_until = 0;
	connection->waiting_bytes = connection->waiting_halves = 0;
	connection->waiting_tgid = FIELD(task, tgid);
	connection->arrived_ns = bpf_ktime_get_ns();
}

/* Refused, unreachable, timed out, or given up: no bytes will tell of it. */
static __always_inline void on_connect_failed(struct sock *sk)
{
	struct connection *connection = state_of(sk);
	struct record_open record = {};
	struct tcp_sock *tcp;
	u64 now = bpf_ktime_get_ns();

	if (!connection || connection->known || !connection->arrived_ns || is_own(connection->waiting_tgid))
		return;
	connection->cookie = cookie_of(sk);
	fill_addresses(connection, sk);
	fill_header(&record.header, connection, RECORD_CONNECT_FAILED, now);
	record.header.reset = FIELD(sk, sk_err);
	record.opened_ns = connection->arrived_ns;
	record.netns = netns_of(sk);
	__builtin_memcpy(record.local, connection->local, sizeof(record.local));
	__builtin_memcpy(record.remote, connection->remote, sizeof(record.remote));
	record.local_port = connection->local_port;
	record.remote_port = connection->remote_port;
	record.family = connection->family;
	record.flags = OPEN_ACTIVE;
	record.tgid = connection->waiting_tgid;
	tcp = tcp_of(sk);
	if (tcp)
		record.retransmits = FIELD(tcp, total_retrans);
	connection->arrived_ns = 0;
	submit(connection->ring, &record, sizeof(record));
}

static __always_inline void on_established(struct sock *sk, int old_state)
{
	struct connection *connection;
	u64 now;

	if (old_state == TCP_SYN_RECV)
		begins_anew(sk);
	connection = make_state(sk);
	if (!connection) {
		count(COUNT_STORAGE_FULL, 1);
		return;
	}
	if (connection->known)
		return;
	now = bpf_ktime_get_ns();
	if (old_state == TCP_SYN_SENT && connection->arrived_ns)
		connection->connect_us = (now - connection->arrived_ns) / 1000 ?: 1;
	connection->arrived_ns = 0;
	/* It may be all that moves: the sweep has to look whether it stays silent. */
	count(COUNT_CALLS, 1);
	learn(connection, sk, old_state == TCP_SYN_SENT ? OPEN_ACTIVE : OPEN_PASSIVE, now);
	connection->flags |= OPEN_FROM_START;
}

/* Orderly ends pass through FIN_WAIT or LAST_ACK. What goes from an open state to CLOSE was reset. */
static __always_inline bool was_reset(struct sock *sk, int old_state)
{
	return old_state == TCP_ESTABLISHED || old_state == TCP_CLOSE_WAIT || FIELD(sk, sk_err);
}

static __always_inline void on_closed(struct sock *sk, int old_state)
{
	struct connection *connection = state_of(sk);
	u64 now;
	u32 reset;

	if (!connection || !connection->told)
		return;
	now = bpf_ktime_get_ns();
	reset = was_reset(sk, old_state);
	tell_close(connection, sk, now, reset);
	if (connection->flags & CONNECTION_TLS)
		close_plaintext(connection, now, reset);
}

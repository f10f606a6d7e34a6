/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * The beginning and the end of TCP connections. Addresses are taken when the connection is made: after a reset they
 * are gone.
 */
#pragma once

static __always_inline void on_established(struct sock *sk, int old_state)
{
	struct connection *connection = bpf_sk_storage_get(&connections, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!connection) {
		count(COUNT_STORAGE_FULL, 1);
		return;
	}
	if (connection->known)
		return;
	learn(connection, sk, old_state == TCP_SYN_SENT ? OPEN_ACTIVE : OPEN_PASSIVE, bpf_ktime_get_ns());
	connection->flags |= OPEN_FROM_START;
}

/* Orderly ends pass through FIN_WAIT or LAST_ACK. What goes from an open state to CLOSE was reset. */
static __always_inline bool was_reset(struct sock *sk, int old_state)
{
	return old_state == TCP_ESTABLISHED || old_state == TCP_CLOSE_WAIT || sk->sk_err;
}

static __always_inline void on_closed(struct sock *sk, int old_state)
{
	struct connection *connection = bpf_sk_storage_get(&connections, sk, 0, 0);
	struct record record;

	if (!connection || !connection->told)
		return;
	if (lock(connection)) {
		flush_waiting(connection);
		unlock(connection);
	}
	fill_header(&record, connection, RECORD_CLOSE, bpf_ktime_get_ns());
	record.reset = was_reset(sk, old_state);
	submit(connection->ring, &record, sizeof(record));
	connection->told = 0;
}

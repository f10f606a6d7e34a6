/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * When a request arrived, on the server's side: a server that reads late would look like a slow network. Stamped once
 * while the queue is empty, and not for connections that nobody reads.
 */
#pragma once

static __always_inline int on_arrival(struct sock *sk)
{
	struct connection *connection;

	/* Accepted sockets keep the backlog of their listener, those that connect have none: the client's side costs no
	 * look-up. */
	if (!is_tcp(sk) || FIELD(sk, __sk_common.skc_state) != TCP_ESTABLISHED || !FIELD(sk, sk_max_ack_backlog))
		return 0;
	connection = state_of(sk);
	if (!connection || connection->arrived_ns || (connection->flags & OPEN_ACTIVE))
		return 0;
	if (connection->mode != MODE_IGNORE)
		connection->arrived_ns = bpf_ktime_get_ns();
	return 0;
}

#ifndef STATE_IN_HASH
SEC("tp_btf/sk_data_ready")
int BPF_PROG(tp_arrival, struct sock *sk)
{
	return on_arrival(sk);
}
#endif

/* The same before 6.2, where there is no such tracepoint. */
SEC("fentry/sock_def_readable")
int BPF_PROG(fentry_arrival, struct sock *sk)
{
	return on_arrival(sk);
}

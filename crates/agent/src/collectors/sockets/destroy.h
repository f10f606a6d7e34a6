/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * The end of a socket whose state lies in tables: the next socket may have the same address.
 */
#pragma once

static __always_inline int on_destroyed(struct sock *sk)
{
	struct flow_key key = {};
	struct peer *newest;

	if (is_udp(sk)) {
		newest = peer_of(sk);
		if (newest) {
			key.cookie = cookie_of(sk);
			end_newest_flow(&key, newest);
		}
	}
	forget(sk);
	return 0;
}

SEC("fentry/inet_sock_destruct")
int BPF_PROG(fentry_destroyed_inet, struct sock *sk)
{
	return on_destroyed(sk);
}

SEC("fentry/unix_sock_destructor")
int BPF_PROG(fentry_destroyed_unix, struct sock *sk)
{
	return on_destroyed(sk);
}

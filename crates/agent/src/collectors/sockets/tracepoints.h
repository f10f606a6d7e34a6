/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * Front end 1, since 6.3: two tracepoints that run in the caller's context behind every send and receive on a socket,
 * whatever the system call, and for nothing else.
 */
#pragma once

SEC("tp_btf/sock_send_length")
int BPF_PROG(tp_send, struct sock *sk, int result, int flags)
{
	return on_bytes(sk, result, flags, true, NULL);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(tp_receive, struct sock *sk, int result, int flags)
{
	return on_bytes(sk, result, flags, false, NULL);
}

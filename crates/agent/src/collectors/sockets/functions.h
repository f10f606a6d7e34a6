/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * Front end 2, for kernels without the tracepoints (before 6.3): the ends of the protocols' send and receive functions.
 * They are reached through function pointers, so that the compiler cannot have inlined them, as it does with
 * sock_sendmsg. The last argument is the function's result.
 */
#pragma once

#define SENDS(name)                                                                                                    \
	SEC("fexit/" #name)                                                                                            \
	int BPF_PROG(fexit_##name, struct socket *socket, struct msghdr *message, u64 size, int result)                         \
	{                                                                                                              \
		struct sock *sk = socket->sk;                                                                          \
		return sk ? on_bytes(sk, result, 0, true, message) : 0;                                                         \
	}

#define RECEIVES(name)                                                                                                 \
	SEC("fexit/" #name)                                                                                            \
	int BPF_PROG(fexit_##name, struct socket *socket, struct msghdr *message, u64 size, int flags, int result)              \
	{                                                                                                              \
		struct sock *sk = socket->sk;                                                                          \
		return sk ? on_bytes(sk, result, flags, false, message) : 0;                                                    \
	}

SENDS(inet_sendmsg)
SENDS(inet6_sendmsg)
SENDS(unix_stream_sendmsg)
RECEIVES(inet_recvmsg)
RECEIVES(inet6_recvmsg)
RECEIVES(unix_stream_recvmsg)

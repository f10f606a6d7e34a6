// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/*
 * The socket collector's programs. Two objects: the second is for kernels and front ends that have no
 * storage in sockets (access.h, storage.h). What this kernel lacks is switched off before it is loaded. A front end
 * (one file each) finds that bytes have moved; body.h does the rest and knows none of them.
 */
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "sockets.h"

#include "maps.h"

#include "access.h"

#include "connection.h"

#include "call.h"

#include "payload.h"

#include "exchange.h"

#include "record.h"

#include "tls.h"

#include "datagrams.h"

#include "body.h"

#include "tls_functions.h"

#include "state.h"

#include "arrival.h"

#ifndef STATE_IN_HASH
#include "tracepoints.h"
#endif

#include "functions.h"

#ifdef STATE_IN_HASH
#include "destroy.h"

#include "probes.h"

#include "syscalls.h"
#endif

#include "sweep.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#ifndef STATE_IN_HASH
SEC("tp_btf/inet_sock_set_state")
#else
SEC("raw_tp/inet_sock_set_state")
#endif
int BPF_PROG(state_changed, struct sock *sk, int old_state, int new_state)
{
	if (!is_tcp(sk))
		return 0;
	if (new_state == TCP_SYN_SENT)
		on_connecting(sk);
	else if (new_state == TCP_ESTABLISHED)
		on_established(sk, old_state);
	else if (new_state == TCP_CLOSE && old_state == TCP_SYN_SENT)
		on_connect_failed(sk);
	else if (new_state == TCP_CLOSE)
		on_closed(sk, old_state);
	return 0;
}

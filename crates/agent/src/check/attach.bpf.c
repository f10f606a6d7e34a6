// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* The smallest program of each kind. `limpid check` loads and attaches them one by one, since what a kernel allows can
 * only be found out by trying: feature probes say no to what works and yes to what does not. None of them does a thing. */
#include "kernel.h"

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} storage SEC(".maps");

SEC("raw_tp/sched_process_exec")
int process_exec(void *ctx)
{
	void *record = bpf_ringbuf_reserve(&ring, 8, 0);

	if (record)
		bpf_ringbuf_discard(record, 0);
	return 0;
}

SEC("tp_btf/sock_send_length")
int send_length(void *ctx)
{
	return 0;
}

SEC("tp_btf/sock_recv_length")
int recv_length(void *ctx)
{
	return 0;
}

SEC("tp_btf/sk_data_ready")
int data_ready(void *ctx)
{
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int socket_state(__u64 *ctx)
{
	bpf_sk_storage_get(&storage, (void *)ctx[0], NULL, 0);
	return 0;
}

SEC("raw_tp/sched_process_exit")
int raw_tracepoint(void *ctx)
{
	return 0;
}

SEC("raw_tp/sys_exit")
int system_call(void *ctx)
{
	return 0;
}

SEC("fentry/inet_sendmsg")
int function_entry(void *ctx)
{
	return 0;
}

SEC("kprobe/inet_sendmsg")
int kernel_probe(void *ctx)
{
	return 0;
}

SEC("kretprobe/inet_sendmsg")
int kernel_return_probe(void *ctx)
{
	return 0;
}

SEC("uprobe")
int user_probe(void *ctx)
{
	return 0;
}

SEC("iter/tcp")
int sockets_iterator(void *ctx)
{
	return 0;
}

SEC("sockops")
int socket_operations(void *ctx)
{
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

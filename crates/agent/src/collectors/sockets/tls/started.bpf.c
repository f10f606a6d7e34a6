// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which process has just begun to run a program. Its number is all that is told: this costs a start next to nothing, and it
 * does not depend on whether the collector of processes runs. */
#include "kernel.h"

#include <bpf/bpf_helpers.h>

#define RING_BYTES (64 * 1024)

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} started SEC(".maps");

SEC("raw_tp/sched_process_exec")
int program_started(void *arguments)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;

	/* One that finds the ring full is found when all processes are looked at, or by its first hello. */
	bpf_ringbuf_output(&started, &tgid, sizeof(tgid), 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

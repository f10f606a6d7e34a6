// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which process has just mapped code of a file that nobody has mapped before: a program that starts, a library that it
 * loads then or later. A file is told of once, so what costs a process is a look into a table at each mapping of code. */
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define RING_BYTES (64 * 1024)
#define VM_EXEC 4

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block___mapped {
	u32 s_dev;
};

struct inode___mapped {
	unsigned long i_ino;
	u32 i_generation;
	struct super_block___mapped *i_sb;
};

struct file___mapped {
	struct inode___mapped *f_inode;
};

struct vm_area_struct {
	unsigned long vm_flags;
	struct file___mapped *vm_file;
};

#pragma clang attribute pop

struct mapped_file {
	u64 inode;
	u32 device;
	u32 generation; /* an inode's number is used again */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct mapped_file);
	__type(value, u8);
} mapped_files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} mapped_by SEC(".maps");

/* Called for each new mapping of any process; it is in place then. */
SEC("fentry/perf_event_mmap")
int BPF_PROG(code_mapped, struct vm_area_struct *area)
{
	struct file___mapped *file = BPF_CORE_READ(area, vm_file);
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct mapped_file key = {};
	u8 known = 1;

	if (!file || !(BPF_CORE_READ(area, vm_flags) & VM_EXEC))
		return 0;
	key.inode = BPF_CORE_READ(file, f_inode, i_ino);
	key.device = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
	key.generation = BPF_CORE_READ(file, f_inode, i_generation);
	/* One that finds the ring full is told of by its next mapping. */
	if (bpf_map_update_elem(&mapped_files, &key, &known, BPF_NOEXIST))
		return 0;
	if (bpf_ringbuf_output(&mapped_by, &tgid, sizeof(tgid), BPF_RB_FORCE_WAKEUP))
		bpf_map_delete_elem(&mapped_files, &key);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

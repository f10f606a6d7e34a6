/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
 * What processes.bpf.c sends to user space; `record.rs` reads it field by field. */
#ifndef LIMPID_PROCESSES_H
#define LIMPID_PROCESSES_H

enum process_event_kind {
	PROCESS_EXEC = 1,
	PROCESS_FORK = 2,
	PROCESS_EXIT = 3,
};

/* Behind it stand, one after the other, the cgroup's names (leaf first, each with its NUL), the executable's path,
 * the arguments and the environment (NUL-separated, as in /proc). */
struct process_event {
	__u32 kind;
	__u32 tgid;
	__u32 ppid;
	__u32 uid;
	__u64 start_ns; /* since boot, suspend included: field 22 of /proc/<pid>/stat in ns */
	__u64 cgroup_id;
	__u16 cgroup_bytes;
	__u16 exe_bytes;
	__u16 args_bytes;
	__u16 env_bytes;
};

#endif

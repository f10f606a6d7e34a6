// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Who runs: one record for each program start, fork of a process and end of a process.
 *
 * A process may be gone a millisecond after its start, and /proc with it. So everything that names it is taken here, in
 * the task's own context, while its new memory map is certainly there: arguments, environment, path, cgroup and start
 * time. Nothing is interpreted in the kernel. Runs from 5.8 on (ring buffer); no system-call tracepoint. */
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "processes.h"

#define RING_BYTES (512 * 1024)
#define CGROUP_LEVELS 8
#define NAME_BYTES 128
#define EXE_BYTES 256
#define ARGS_BYTES 1024
#define ENV_BYTES 4096
#define DATA_BYTES 8192
#define PF_KTHREAD 0x00200000

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	struct kernfs_node *__parent;
	const char *name;
};

/* The field's name before 6.15. */
struct kernfs_node___before_6_15 {
	struct kernfs_node *parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

struct mm_struct {
	unsigned long arg_start, arg_end, env_start, env_end;
};

/* The task as this file sees it: what follows three underscores is no part of the name for the relocation. */
struct task_struct___life {
	unsigned int flags;
	int pid;
	int tgid;
	__u64 start_boottime;
	struct task_struct___life *real_parent;
	struct task_struct___life *group_leader;
	struct mm_struct *mm;
	struct css_set *cgroups;
	struct signal_struct *signal;
};

struct linux_binprm {
	const char *interp;
};

#pragma clang attribute pop

enum cgroup_subsys_id {
	memory_cgrp_id,
	pids_cgrp_id,
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} events SEC(".maps");

/* One record under construction for each CPU: too big for the stack. */
struct scratch {
	struct process_event event;
	char data[DATA_BYTES + ENV_BYTES];
};

/* All parts fit into this power of two; the longest of them may begin anywhere below it. */
_Static_assert(CGROUP_LEVELS * NAME_BYTES + EXE_BYTES + ARGS_BYTES + ENV_BYTES <= DATA_BYTES, "data");

/* The verifier of 6.1 forgets what a comparison said of a number once it was spilled to the stack; a mask right before
 * the use it does believe. */
#define BOUND(at) asm volatile("%0 &= %1" : "+r"(at) : "i"(DATA_BYTES - 1))

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* Records that found the ring full. */
__u64 lost_records = 0;

static __always_inline void submit(void *record, __u64 bytes, __u64 flags)
{
	if (bpf_ringbuf_output(&events, record, bytes, flags))
		__sync_fetch_and_add(&lost_records, 1);
}

static __always_inline struct kernfs_node *parent_of(struct kernfs_node *node)
{
	struct kernfs_node___before_6_15 *old = (void *)node;

	if (bpf_core_field_exists(node->__parent))
		return BPF_CORE_READ(node, __parent);
	return BPF_CORE_READ(old, parent);
}

static __always_inline struct kernfs_node *subsystem_node(struct css_set *set, __u32 id)
{
	struct cgroup_subsys_state **slot = (void *)set + bpf_core_field_offset(set->subsys);
	struct cgroup_subsys_state *state = NULL;

	bpf_probe_read_kernel(&state, sizeof(state), slot + id);
	return state ? BPF_CORE_READ(state, cgroup, kn) : NULL;
}

/* The unified hierarchy's node; where that has its tasks in the root (v1 and hybrid), the one of a v1 controller that
 * container runtimes always use. */
static __always_inline struct kernfs_node *cgroup_node(struct task_struct___life *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct kernfs_node *node = BPF_CORE_READ(set, dfl_cgrp, kn);

	if (node && parent_of(node))
		return node;
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		node = subsystem_node(set, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
	if (node && parent_of(node))
		return node;
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		node = subsystem_node(set, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id));
	return node;
}

/* Leaf first; the root's empty name is left out. */
static __always_inline __u32 copy_cgroup(char *data, struct task_struct___life *task)
{
	struct kernfs_node *node = cgroup_node(task);
	__u32 at = 0;

#pragma unroll
	for (int level = 0; level < CGROUP_LEVELS; level++) {
		struct kernfs_node *parent = node ? parent_of(node) : NULL;
		long n;

		if (!parent || at > (CGROUP_LEVELS - 1) * NAME_BYTES)
			break;
		n = bpf_probe_read_kernel_str(data + at, NAME_BYTES, BPF_CORE_READ(node, name));
		if (n <= 0 || n > NAME_BYTES)
			break;
		at += n;
		node = parent;
	}
	return at;
}

/* Copies the user memory from `from` to `to`, at most `most` bytes; how many. */
static __always_inline __u32 copy_user(char *data, __u64 from, __u64 to, __u32 most)
{
	__u64 bytes = to - from;

	if (!from || to <= from)
		return 0;
	if (bytes > most)
		bytes = most;
	if (bpf_probe_read_user(data, bytes, (void *)from))
		return 0;
	return bytes;
}

static __always_inline void describe(struct process_event *event, struct task_struct___life *task, __u32 kind)
{
	__builtin_memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->tgid = BPF_CORE_READ(task, tgid);
	event->ppid = BPF_CORE_READ(task, real_parent, tgid);
	event->uid = (__u32)bpf_get_current_uid_gid();
	event->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
}

SEC("raw_tp/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct___life *task, int old_pid, struct linux_binprm *bprm)
{
	__u32 zero = 0;
	__u64 at;
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &zero);
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	long n;

	if (!scratch || !mm)
		return 0;
	describe(&scratch->event, task, PROCESS_EXEC);
	scratch->event.cgroup_id = bpf_get_current_cgroup_id();

	at = copy_cgroup(scratch->data, task);
	scratch->event.cgroup_bytes = at;

	/* The path that was really loaded: the interpreter where the file is a script. */
	BOUND(at);
	n = bpf_probe_read_kernel_str(scratch->data + at, EXE_BYTES, BPF_CORE_READ(bprm, interp));
	if (n > 0 && n <= EXE_BYTES) {
		scratch->event.exe_bytes = n;
		at += n;
	}

	BOUND(at);
	n = copy_user(scratch->data + at, BPF_CORE_READ(mm, arg_start), BPF_CORE_READ(mm, arg_end), ARGS_BYTES);
	scratch->event.args_bytes = n;
	at += n;

	BOUND(at);
	n = copy_user(scratch->data + at, BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end), ENV_BYTES);
	scratch->event.env_bytes = n;
	at += n;
	BOUND(at);
	/* By itself the ring wakes its reader only when that has read everything, and the fork before this exec, which
	 * wakes nobody, has not been read: the name would come up to a poll later, after the first requests. */
	submit(scratch, sizeof(scratch->event) + at, BPF_RB_FORCE_WAKEUP);
	return 0;
}

SEC("raw_tp/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct___life *parent, struct task_struct___life *child)
{
	struct process_event event;

	if (BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid) || BPF_CORE_READ(child, flags) & PF_KTHREAD)
		return 0;
	describe(&event, child, PROCESS_FORK);
	submit(&event, sizeof(event), BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("raw_tp/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct___life *task)
{
	struct process_event event;

	/* The count is lowered before the tracepoint is reached: 0 marks the last thread of the process. */
	if (BPF_CORE_READ(task, signal, live.counter) != 0 || BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	describe(&event, task, PROCESS_EXIT);
	submit(&event, sizeof(event), BPF_RB_NO_WAKEUP);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

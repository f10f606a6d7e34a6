/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * The maps, the options, and what is done with them in one line.
 */
#pragma once

/* In a section of its own, so that user space finds it whole. */
const volatile struct options options SEC(".rodata.options") = {
	.rings = 1,
	.wakeup_bytes = 1 << 19,
	.undecided_head = 256,
	.undecided_tail = 64,
};

extern int LINUX_KERNEL_VERSION __kconfig;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct own);
} own_processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROGRESS_MAX);
	__type(key, u32);
	__type(value, u32);
} progress SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct verdict);
} verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct slots);
} verdict_slots SEC(".maps");

/* A connection keeps to one ring, so that its records come from one consumer in the kernel's order. */
struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 64);
	__type(key, u32);
	__array(values, struct ring);
} rings SEC(".maps");

static __always_inline void count(enum counter counter, u64 amount)
{
	u32 zero = 0;
	struct counters *all = bpf_map_lookup_elem(&counters, &zero);

	if (all)
		all->count[counter] += amount;
}

/* bpf_ringbuf_output copies once more than reserve and commit, but takes sizes that are only known at run time: a
 * record is as long as what is in it, and the copy is small beside the way to the consumer. */
static __always_inline bool submit_and_wake(u32 ring_number, void *data, u64 size, bool wake)
{
	u32 index = ring_number & (options.rings - 1);
	void *ring = bpf_map_lookup_elem(&rings, &index);
	u64 waiting, flags;
	bool crosses;

	if (!ring)
		return false;
	/* Woken by the record that crosses the mark, or a multiple of it: a consumer that is at work needs no further call,
	 * and where two CPUs submit at once, neither may see the first one crossed. The mark is a power of two. */
	waiting = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
	crosses = (waiting ^ (waiting + size)) & ~((u64)options.wakeup_bytes - 1);
	flags = crosses || wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
	if (bpf_ringbuf_output(ring, data, size, flags)) {
		count(COUNT_RING_FULL, 1);
		return false;
	}
	return true;
}

static __always_inline bool submit(u32 ring_number, void *data, u64 size)
{
	return submit_and_wake(ring_number, data, size, false);
}

/* Whether there may be a new verdict for this socket or flow since `seen`: then the own processes may have changed too. */
static __always_inline bool slot_has_moved(u64 id, u32 *seen)
{
	u32 zero = 0, count;
	struct slots *slots = bpf_map_lookup_elem(&verdict_slots, &zero);

	if (!slots)
		return false;
	count = slots->count[id & (VERDICT_SLOTS - 1)];
	if (count == *seen)
		return false;
	*seen = count;
	return true;
}

static __always_inline bool is_own(u32 tgid)
{
	u32 zero = 0;
	struct own *own = bpf_map_lookup_elem(&own_processes, &zero);

	if (!own)
		return false;
	/* Without holes: the first free place ends the list. */
	for (int i = 0; i < OWN_MAX && own->tgid[i]; i++)
		if (own->tgid[i] == tgid)
			return true;
	return false;
}

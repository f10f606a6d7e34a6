/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * How the kernel's structures are reached. The source is compiled twice. Once for kernels that have types for the pointers
 * of a program: what is read is a plain load. And once, with STATE_IN_HASH, for those that have not (before 5.15), and for
 * front ends that are given none (kprobes, system calls): every read is a helper's, and nothing here needs more than 5.10.
 */
#pragma once

#ifndef STATE_IN_HASH

#define FIELD(object, member) ((object)->member)

/* Since 6.2: memory of the kernel read like a structure of this type, with plain loads instead of calls. */
extern void *bpf_rdonly_cast(const void *object, u32 type) __ksym __weak;

/* Of a socket that `is_tcp`. */
static __always_inline struct tcp_sock *tcp_of(struct sock *sk)
{
	if (bpf_ksym_exists(bpf_rdonly_cast))
		return bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));
	return bpf_skc_to_tcp_sock(sk);
}

static __always_inline struct unix_sock *unix_of(struct sock *sk)
{
	return bpf_skc_to_unix_sock(sk);
}

static __always_inline struct task_struct *current_task(void)
{
	return bpf_get_current_task_btf();
}

static __always_inline struct pt_regs *registers_of(struct task_struct *task)
{
	return (struct pt_regs *)bpf_task_pt_regs(task);
}

static __always_inline struct socket *socket_of(struct file *file)
{
	return bpf_sock_from_file(file);
}

static __always_inline void *private_data_of(struct file **place)
{
	struct file *file = NULL;

	if (bpf_ksym_exists(bpf_rdonly_cast)) {
		/* There is no type for a pointer by itself; the first member of a list's head is one. */
		struct list_head *slot = bpf_rdonly_cast(place, bpf_core_type_id_kernel(struct list_head));

		file = (struct file *)slot->next;
		if (!file)
			return NULL;
		file = bpf_rdonly_cast(file, bpf_core_type_id_kernel(struct file));
		return file->private_data;
	}
	bpf_probe_read_kernel(&file, sizeof(file), place);
	return file ? BPF_CORE_READ(file, private_data) : NULL;
}

/* What is rarely needed is a function of its own only where the stack is short. */
#define SELDOM __always_inline

/* Newer verifiers believe a comparison. */
#define MASK(value, mask)

/* Adds to a count that others add to as well; what it was before. */
static __always_inline u64 add_to(u64 *count, u64 amount)
{
	return __sync_fetch_and_add(count, amount);
}

#else

#define FIELD(object, member) BPF_CORE_READ(object, member)

static __always_inline struct tcp_sock *tcp_of(struct sock *sk)
{
	return (struct tcp_sock *)sk;
}

static __always_inline struct unix_sock *unix_of(struct sock *sk)
{
	return (struct unix_sock *)sk;
}

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/* Where the registers of a system call lie on the kernel's stack. Should it be elsewhere, the call is not believed: its
 * descriptor is not the socket. */
#define KERNEL_STACK_BYTES 16384

static __always_inline struct pt_regs *registers_of(struct task_struct *task)
{
	void *stack;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	stack = BPF_CORE_READ(task, stack);
	return stack + KERNEL_STACK_BYTES - bpf_core_type_size(struct pt_regs);
}

#define S_IFMT 0170000
#define S_IFSOCK 0140000

/* A socket's file, and no other whose inode is one: those have no socket behind them. */
static __always_inline struct socket *socket_of(struct file *file)
{
	struct socket *socket;

	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return socket && BPF_CORE_READ(socket, file) == file ? socket : NULL;
}

static __always_inline void *private_data_of(struct file **place)
{
	struct file *file = NULL;

	bpf_probe_read_kernel(&file, sizeof(file), place);
	return file ? BPF_CORE_READ(file, private_data) : NULL;
}

/* Helpers read into the stack, of which all calls of a program together have 512 bytes. */
#define SELDOM __noinline

/* 5.10 forgets what was compared when a number goes to the stack, or is widened: a mask right before its use. */
#define MASK(value, mask) asm volatile("%0 &= %1" : "+r"(value) : "i"(mask))

/* Before 5.12 an addition does not tell what was there. Two at once may be told the same. */
static __always_inline u64 add_to(u64 *count, u64 amount)
{
	u64 before = *(volatile u64 *)count;

	__sync_fetch_and_add(count, amount);
	return before;
}

#endif

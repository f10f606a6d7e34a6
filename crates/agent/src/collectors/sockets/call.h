/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * From the registers of the running system call to the user's buffers. The registers belong to the system call and not
 * to the socket, so they are believed only when the call is a socket call of the native ABI on a descriptor that is
 * this very socket: a write to a file on a network file system also sends on a socket, and its buffer is no traffic.
 */
#pragma once

#define PF_IO_WORKER 0x00000010
#define PF_USER_WORKER 0x00004000 /* since 6.4; before 5.17 the bit meant something else */
#define PF_KTHREAD 0x00200000
#define TS_COMPAT 0x0002   /* x86 */
#define TIF_32BIT (1 << 22) /* arm64 */

#define IOVECS_MAX 64

/* io_uring_enter: the same on all architectures. */
#define CALL_IO_URING 426

/* Where the bytes of a call are: in one buffer, or in several by a vector of them. */
struct buffers {
	u64 base;
	u64 vector;
	u32 vectors;
	u32 unused;
	u64 message; /* the user's struct msghdr, if there is one */
};

enum shape {
	SHAPE_NONE,
	SHAPE_BUFFER,
	SHAPE_VECTOR,
	SHAPE_MESSAGE,
	SHAPE_MESSAGES,
};

#if defined(__TARGET_ARCH_x86)
#define ARGUMENT_0(regs) FIELD(regs, di)
#define ARGUMENT_1(regs) FIELD(regs, si)
#define ARGUMENT_2(regs) FIELD(regs, dx)
#define ARGUMENT_4(regs) FIELD(regs, r8)
#define CALL_NUMBER(regs) FIELD(regs, orig_ax)
#define CALL_SENDTO 44
#elif defined(__TARGET_ARCH_arm64)
#define ARGUMENT_0(regs) FIELD(regs, orig_x0)
#define ARGUMENT_1(regs) FIELD(regs, regs[1])
#define ARGUMENT_2(regs) FIELD(regs, regs[2])
#define ARGUMENT_4(regs) FIELD(regs, regs[4])
#define CALL_NUMBER(regs) (u64)(u32)FIELD(regs, syscallno)
#define CALL_SENDTO 206
#endif

static __always_inline enum shape shape_of(u64 number)
{
#if defined(__TARGET_ARCH_x86)
	switch (number) {
	case 0:   /* read */
	case 1:   /* write */
	case 44:  /* sendto */
	case 45:  /* recvfrom */
		return SHAPE_BUFFER;
	case 19:  /* readv */
	case 20:  /* writev */
		return SHAPE_VECTOR;
	case 46:  /* sendmsg */
	case 47:  /* recvmsg */
		return SHAPE_MESSAGE;
	case 299: /* recvmmsg */
	case 307: /* sendmmsg */
		return SHAPE_MESSAGES;
	}
#elif defined(__TARGET_ARCH_arm64)
	switch (number) {
	case 63:  /* read */
	case 64:  /* write */
	case 206: /* sendto */
	case 207: /* recvfrom */
		return SHAPE_BUFFER;
	case 65:  /* readv */
	case 66:  /* writev */
		return SHAPE_VECTOR;
	case 211: /* sendmsg */
	case 212: /* recvmsg */
		return SHAPE_MESSAGE;
	case 243: /* recvmmsg */
	case 269: /* sendmmsg */
		return SHAPE_MESSAGES;
	}
#endif
	return SHAPE_NONE;
}

static __always_inline bool is_kernel_task(struct task_struct *task)
{
	u32 flags = FIELD(task, flags);

	if (flags & (PF_KTHREAD | PF_IO_WORKER))
		return true;
	return LINUX_KERNEL_VERSION >= KERNEL_VERSION(6, 4, 0) && (flags & PF_USER_WORKER);
}

static __always_inline bool is_compat_call(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return FIELD(task, thread_info.status) & TS_COMPAT;
#else
	return FIELD(task, thread_info.flags) & TIF_32BIT;
#endif
}

static __always_inline bool descriptor_is(struct task_struct *task, u64 descriptor, struct sock *sk)
{
	struct files_struct *files = FIELD(task, files);
	struct fdtable *table = FIELD(files, fdt);
	void *private_data;

	if ((u32)descriptor >= FIELD(table, max_fds))
		return false;
	private_data = private_data_of(&FIELD(table, fd)[(u32)descriptor]);
	return private_data && private_data == FIELD(sk, sk_socket);
}

/* sendmmsg and recvmmsg: the hook runs once a message with the same registers, so the messages are counted here. */
struct messages {
	u64 vector;
	u32 descriptor;
	u32 next;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct messages);
} message_calls SEC(".maps");

static __always_inline u32 next_message(struct task_struct *task, struct pt_regs *regs, s32 result)
{
	u32 pid = FIELD(task, pid), index = 0;
	u64 vector = ARGUMENT_1(regs);
	u32 descriptor = ARGUMENT_0(regs), messages = ARGUMENT_2(regs);
	struct messages *call = bpf_map_lookup_elem(&message_calls, &pid);
	struct messages fresh = {.vector = vector, .descriptor = descriptor, .next = 1};

	if (call && call->vector == vector && call->descriptor == descriptor)
		index = call->next;
	/* The last message, or an error, ends the call: the next event of this task begins another. */
	if (result <= 0 || index + 1 >= messages) {
		if (call)
			bpf_map_delete_elem(&message_calls, &pid);
		return index;
	}
	if (index)
		call->next = index + 1;
	else
		bpf_map_update_elem(&message_calls, &pid, &fresh, BPF_ANY);
	return index;
}

/* Nothing moved: this ends a sendmmsg or recvmmsg before its last message. */
static __always_inline void end_messages(struct task_struct *task)
{
	struct pt_regs *regs = registers_of(task);
	u32 pid = FIELD(task, pid);

	if (shape_of(CALL_NUMBER(regs)) == SHAPE_MESSAGES)
		bpf_map_delete_elem(&message_calls, &pid);
}

static __always_inline bool message_buffers(struct buffers *buffers, u64 address)
{
	struct user_msghdr message;

	if (bpf_probe_read_user(&message, sizeof(message), (void *)address))
		return false;
	buffers->message = address;
	buffers->vector = (u64)message.msg_iov;
	buffers->vectors = message.msg_iovlen > 1024 ? 1024 : message.msg_iovlen;
	return true;
}

/* A vector of one is the commonest and is as good as a buffer. */
static __always_inline void unwrap_single(struct buffers *buffers)
{
	struct iovec only;

	if (buffers->vectors != 1)
		return;
	if (bpf_probe_read_user(&only, sizeof(only), (void *)buffers->vector))
		return;
	buffers->base = (u64)only.iov_base;
	buffers->vectors = 0;
}

/* False: no buffer can be had, for the reason that was counted. */
static __always_inline bool find_buffers(struct buffers *buffers, struct task_struct *task, struct sock *sk, s32 result)
{
	struct pt_regs *regs = registers_of(task);
	enum shape shape = shape_of(CALL_NUMBER(regs));
	bool found = true;

	buffers->base = buffers->vector = buffers->vectors = buffers->unused = buffers->message = 0;
	if (is_compat_call(task)) {
		count(COUNT_COMPAT_CALL, 1);
		return false;
	}
	if (shape == SHAPE_NONE) {
		count(CALL_NUMBER(regs) == CALL_IO_URING ? COUNT_IO_URING : COUNT_NO_PAYLOAD, 1);
		return false;
	}
	if (!descriptor_is(task, ARGUMENT_0(regs), sk)) {
		count(COUNT_OTHER_DESCRIPTOR, 1);
		return false;
	}
	if (shape == SHAPE_BUFFER) {
		buffers->base = ARGUMENT_1(regs);
		return true;
	}
	if (shape == SHAPE_VECTOR) {
		buffers->vector = ARGUMENT_1(regs);
		buffers->vectors = ARGUMENT_2(regs) > 1024 ? 1024 : ARGUMENT_2(regs);
	} else if (shape == SHAPE_MESSAGE) {
		found = message_buffers(buffers, ARGUMENT_1(regs));
	} else {
		u64 index = next_message(task, regs, result);

		found = message_buffers(buffers, ARGUMENT_1(regs) + index * sizeof(struct mmsghdr));
	}
	unwrap_single(buffers);
	if (!found)
		count(COUNT_PAYLOAD_FAULT, 1);
	return found;
}

/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * Front end 4, the last resort: the end of every system call of every process. The registers still tell what was asked,
 * and the descriptor which socket it was. It slows system calls that have nothing to do with sockets as well.
 */
#pragma once

#define MESSAGES_MAX 16 /* of a sendmmsg or recvmmsg that are looked at */

#if defined(__TARGET_ARCH_x86)
#define ARGUMENT_3(regs) FIELD(regs, r10)
#elif defined(__TARGET_ARCH_arm64)
#define ARGUMENT_3(regs) FIELD(regs, regs[3])
#endif

enum direction {
	DIRECTION_NONE,
	DIRECTION_SENT,
	DIRECTION_RECEIVED,
};

static __always_inline enum direction direction_of(u64 number)
{
#if defined(__TARGET_ARCH_x86)
	switch (number) {
	case 1:   /* write */
	case 20:  /* writev */
	case 40:  /* sendfile */
	case 44:  /* sendto */
	case 46:  /* sendmsg */
	case 307: /* sendmmsg */
		return DIRECTION_SENT;
	case 0:   /* read */
	case 19:  /* readv */
	case 45:  /* recvfrom */
	case 47:  /* recvmsg */
	case 299: /* recvmmsg */
		return DIRECTION_RECEIVED;
	}
#elif defined(__TARGET_ARCH_arm64)
	switch (number) {
	case 64:  /* write */
	case 66:  /* writev */
	case 71:  /* sendfile */
	case 206: /* sendto */
	case 211: /* sendmsg */
	case 269: /* sendmmsg */
		return DIRECTION_SENT;
	case 63:  /* read */
	case 65:  /* readv */
	case 207: /* recvfrom */
	case 212: /* recvmsg */
	case 243: /* recvmmsg */
		return DIRECTION_RECEIVED;
	}
#endif
	return DIRECTION_NONE;
}

static __always_inline u32 flags_of(struct pt_regs *regs, u64 number)
{
#if defined(__TARGET_ARCH_x86)
	if (number == 45 || number == 299)
		return ARGUMENT_3(regs);
	return number == 47 ? ARGUMENT_2(regs) : 0;
#elif defined(__TARGET_ARCH_arm64)
	if (number == 207 || number == 243)
		return ARGUMENT_3(regs);
	return number == 212 ? ARGUMENT_2(regs) : 0;
#endif
}

static __always_inline struct sock *socket_behind(struct task_struct *task, u64 descriptor)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct socket *socket;
	struct file *file = NULL;

	if ((u32)descriptor >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + (u32)descriptor);
	socket = file ? socket_of(file) : NULL;
	return socket ? BPF_CORE_READ(socket, sk) : NULL;
}

static __always_inline u32 message_length(u64 vector, u32 index)
{
	struct mmsghdr *message = (struct mmsghdr *)vector + index;
	u32 length = 0;

	bpf_probe_read_user(&length, sizeof(length), &message->msg_len);
	return length;
}

/* The result is the number of messages, and each has its length. Those of a stream count as one, whose bytes lie in too
 * many places to be read. */
static __always_inline int on_messages(struct sock *sk, struct pt_regs *regs, s32 result, u32 flags, bool sent)
{
	u64 vector = ARGUMENT_1(regs);
	bool datagrams = is_udp(sk);
	u32 total = 0, length;

	for (u32 i = 0; i < MESSAGES_MAX && (s32)i < result; i++) {
		length = message_length(vector, i);
		if (datagrams)
			on_bytes_of((u64)sk, length, flags, sent, 0);
		total += length;
	}
	if (!datagrams)
		on_bytes_of((u64)sk, total, flags, sent, 0);
	/* Fewer may have moved than were asked for: the next call begins anew. */
	end_messages(current_task());
	return 0;
}

SEC("raw_tp/sys_exit")
int BPF_PROG(call_ended, struct pt_regs *regs, long result)
{
	u64 number = CALL_NUMBER(regs);
	enum direction direction = direction_of(number);
	struct task_struct *task = current_task();
	struct sock *sk;
	u32 flags;

	if (direction == DIRECTION_NONE)
		return 0;
	/* Its numbers mean other calls. */
	if (is_compat_call(task))
		return 0;
	sk = socket_behind(task, ARGUMENT_0(regs));
	if (!sk)
		return 0;
	flags = flags_of(regs, number);
	if (shape_of(number) == SHAPE_MESSAGES && result > 0)
		return on_messages(sk, regs, result, flags, direction == DIRECTION_SENT);
	return on_bytes_of((u64)sk, result, flags, direction == DIRECTION_SENT, 0);
}

SEC("raw_tp/sk_data_ready")
int BPF_PROG(call_arrival, struct sock *sk)
{
	return on_arrival(sk);
}

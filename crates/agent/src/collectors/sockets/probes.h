/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * Front end 3, for kernels that cannot hang programs onto functions by their types: the same functions by probes at their
 * entry and their return. At the return the arguments are gone, so the entry keeps them by thread.
 */
#pragma once

struct begun {
	struct socket *socket;
	struct msghdr *message;
	u32 flags;
	u32 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct begun);
} begun_calls SEC(".maps");

#if defined(__TARGET_ARCH_x86)
#define ENTRY_0(registers) (registers)->di
#define ENTRY_1(registers) (registers)->si
#define ENTRY_3(registers) (registers)->cx
#define RESULT(registers) (registers)->ax
#elif defined(__TARGET_ARCH_arm64)
#define ENTRY_0(registers) (registers)->regs[0]
#define ENTRY_1(registers) (registers)->regs[1]
#define ENTRY_3(registers) (registers)->regs[3]
#define RESULT(registers) (registers)->regs[0]
#endif

static __always_inline int begin_call(u64 socket, u64 message, u32 flags)
{
	struct begun begun = {.socket = (void *)socket, .message = (void *)message, .flags = flags};
	u64 thread = bpf_get_current_pid_tgid();

	bpf_map_update_elem(&begun_calls, &thread, &begun, BPF_ANY);
	return 0;
}

static __always_inline int end_call(s32 result, bool sent)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct begun *found = bpf_map_lookup_elem(&begun_calls, &thread);
	struct socket *socket;
	u64 message, sk;
	u32 flags;

	if (!found)
		return 0;
	socket = found->socket;
	message = (u64)found->message;
	flags = found->flags;
	bpf_map_delete_elem(&begun_calls, &thread);
	sk = (u64)BPF_CORE_READ(socket, sk);
	return sk ? on_bytes_of(sk, result, flags, sent, message) : 0;
}

/* Each hangs on several functions; user space knows which. */
SEC("kprobe")
int enter_send(struct pt_regs *registers)
{
	return begin_call(ENTRY_0(registers), ENTRY_1(registers), 0);
}

SEC("kretprobe")
int leave_send(struct pt_regs *registers)
{
	return end_call(RESULT(registers), true);
}

SEC("kprobe")
int enter_receive(struct pt_regs *registers)
{
	return begin_call(ENTRY_0(registers), ENTRY_1(registers), ENTRY_3(registers));
}

SEC("kretprobe")
int leave_receive(struct pt_regs *registers)
{
	return end_call(RESULT(registers), false);
}

SEC("kprobe/sock_def_readable")
int probe_arrival(struct pt_regs *registers)
{
	return on_arrival((struct sock *)ENTRY_0(registers));
}

SEC("kprobe/inet_sock_destruct")
int probe_destroyed_inet(struct pt_regs *registers)
{
	return on_destroyed((struct sock *)ENTRY_0(registers));
}

SEC("kprobe/unix_sock_destructor")
int probe_destroyed_unix(struct pt_regs *registers)
{
	return on_destroyed((struct sock *)ENTRY_0(registers));
}

/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * The programs on the functions of TLS libraries: a function's beginning tells whose plaintext goes where, its end how
 * much of it.
 */
#pragma once

/* The socket of a session; 0: not known. One that is gone leaves its session to another. */
static __always_inline u64 socket_of_session(struct tls_session_key *key)
{
	u64 *socket = bpf_map_lookup_elem(&tls_sessions, key);

	return socket && bpf_map_lookup_elem(&tls_connections, socket) ? *socket : 0;
}

/* What was received on this thread before this function is of its session. A writing one too: where a request waits for
 * the handshake, writing goes on with the handshake and then writes. */
static __always_inline void tie_received(struct tls_thread *thread, struct tls_session_key *key)
{
	u64 socket = thread->received_socket;

	if (!thread->received || socket_of_session(key))
		return;
	if (thread->received > 1)
		count(COUNT_TLS_AMBIGUOUS, 1);
	else
		bpf_map_update_elem(&tls_sessions, key, &socket, BPF_ANY);
}

static __always_inline int enter(struct tls_runner *runner, enum tls_function function, u64 session, u64 buffer, u64 length_at)
{
	struct tls_thread *thread = bpf_map_lookup_elem(&tls_threads, runner);
	struct tls_thread fresh = {};
	struct tls_session_key key = {.session = session, .tgid = runner->tgid};
	u32 tgid = runner->tgid, by_goroutine = runner->pid == 0;

	if (!thread) {
		bpf_map_update_elem(&tls_probed, &tgid, &by_goroutine, BPF_ANY);
		bpf_map_update_elem(&tls_threads, runner, &fresh, BPF_NOEXIST);
		thread = bpf_map_lookup_elem(&tls_threads, runner);
		if (!thread)
			return 0;
	}
	/* Reading and writing begin with the handshake when there was none yet. */
	if (function == TLS_HANDSHAKE && thread->function && thread->session == session)
		return 0;
	tie_received(thread, &key);
	thread->received = 0;
	thread->function = function;
	thread->session = session;
	thread->buffer = buffer;
	thread->length_at = length_at;
	thread->socket = 0;
	return 0;
}

/* Like `tell`, by programs that may ask nothing of sockets. */
static __noinline int tell_plaintext(struct connection *plain, u32 tgid, u64 now, u32 area)
{
	struct record_open *open = (struct record_open *)scratch_of(area);

	if (!open)
		return 0;
	__builtin_memset(open, 0, sizeof(*open));
	fill_open(open, plain, tgid, now);
	plain->told = submit(plain->ring, open, sizeof(*open));
	return plain->told;
}

static __always_inline bool move_plaintext(struct connection *plain, struct tls_thread *thread, u32 tgid, s32 length, u32 area)
{
	bool sent = thread->function == TLS_WRITE;
	struct call room, *call = room_for_call(&room, area);

	if (!call)
		return false;
	__builtin_memset(&call->buffers, 0, sizeof(call->buffers));
	call->arrived_ns = 0;
	call->now = sent && thread->socket ? thread->socket_ns : bpf_ktime_get_ns();
	call->length = length;
	call->tgid = tgid;
	call->sent = sent;
	take_verdict(plain);
	if (is_own_call(plain, tgid))
		return false;
	call->offset = add_to(sent ? &plain->sent : &plain->received, length);
	if (plain->mode == MODE_IGNORE || (!plain->told && !tell_plaintext(plain, tgid, call->now, area)))
		return false;
	call->wanted = plain->mode != MODE_TIMES && !is_skipped(plain, call);
	call->readable = true;
	call->buffers.base = thread->buffer;
	deliver(plain, call);
	return true;
}

static __noinline int on_plaintext(struct connection *plain, struct tls_thread *thread, u32 tgid, s32 length)
{
	struct scratch *scratch;
	bool moved;

	for (u32 area = AREAS_OF_SOCKETS; area < AREAS; area++) {
		scratch = scratch_of(area);
		if (!scratch || !take(&scratch->taken))
			continue;
		moved = move_plaintext(plain, thread, tgid, length, area);
		give(&scratch->taken);
		return moved;
	}
	/* A gap in what it sent or received, which its offset shows. */
	add_to(thread->function == TLS_WRITE ? &plain->sent : &plain->received, length);
	count(COUNT_BUSY, 1);
	return 0;
}

/* What the end of a function tells. One kind's end may lie in what another kind calls too, and reading may begin with a
 * handshake: an end that does not fit what runs is not its. */
enum tls_end {
	END_WITH_BYTES,     /* it returns how many */
	END_WITH_SUCCESS,   /* it has written how many to where it was told to */
	END_OF_HANDSHAKE,
};

static __always_inline bool ends(struct tls_thread *thread, enum tls_end end)
{
	if (thread->function == TLS_HANDSHAKE)
		return end == END_OF_HANDSHAKE;
	return thread->function && end == (thread->length_at ? END_WITH_SUCCESS : END_WITH_BYTES);
}

static __always_inline int leave(struct tls_runner *runner, s64 result, enum tls_end end)
{
	struct tls_thread *thread = bpf_map_lookup_elem(&tls_threads, runner);
	struct tls_session_key key = {.tgid = runner->tgid};
	struct connection *plain;
	u64 socket, moved;

	if (!thread || !ends(thread, end))
		return 0;
	count(COUNT_TLS_CALLS, 1);
	key.session = thread->session;
	socket = socket_of_session(&key);
	/* What the function itself did to a socket is the best evidence. */
	if (thread->socket && thread->socket != socket) {
		socket = thread->socket;
		bpf_map_update_elem(&tls_sessions, &key, &socket, BPF_ANY);
	}
	moved = result;
	if (thread->length_at && (result <= 0 || bpf_probe_read_user(&moved, sizeof(moved), (void *)thread->length_at)))
		moved = 0;
	if (thread->function != TLS_HANDSHAKE && (s64)moved > 0 && moved < GROWN_MAX) {
		plain = socket ? bpf_map_lookup_elem(&tls_connections, &socket) : NULL;
		if (plain)
			on_plaintext(plain, thread, runner->tgid, moved);
		else
			count(COUNT_TLS_UNTIED, moved);
	}
	thread->function = TLS_NONE;
	return 0;
}

#if defined(__TARGET_ARCH_x86)
#define USER_ARGUMENT_0(regs) (regs)->di
#define USER_ARGUMENT_1(regs) (regs)->si
#define USER_ARGUMENT_3(regs) (regs)->cx
#define USER_RESULT(regs) (regs)->ax
#elif defined(__TARGET_ARCH_arm64)
#define USER_ARGUMENT_0(regs) (regs)->regs[0]
#define USER_ARGUMENT_1(regs) (regs)->regs[1]
#define USER_ARGUMENT_3(regs) (regs)->regs[3]
#define USER_RESULT(regs) (regs)->regs[0]
#endif

#define PROGRAM(name, find_runner, does)                                                                               \
	SEC("uprobe.multi")                                                                                            \
	int name(struct pt_regs *regs)                                                                                 \
	{                                                                                                              \
		struct tls_runner runner;                                                                              \
                                                                                                                       \
		find_runner;                                                                                           \
		return does;                                                                                           \
	}

#define ON_THREAD(name, does) PROGRAM(name, runner_of_thread(&runner), does)
#define BEGINS(function, length_at)                                                                                    \
	enter(&runner, function, USER_ARGUMENT_0(regs), USER_ARGUMENT_1(regs), length_at)

/* The session, a buffer, its size; the count comes back, or, where there is a fourth argument, goes there. */
ON_THREAD(tls_read, BEGINS(TLS_READ, 0))
ON_THREAD(tls_read_ex, BEGINS(TLS_READ, USER_ARGUMENT_3(regs)))
ON_THREAD(tls_write, BEGINS(TLS_WRITE, 0))
ON_THREAD(tls_write_ex, BEGINS(TLS_WRITE, USER_ARGUMENT_3(regs)))
ON_THREAD(tls_handshake, BEGINS(TLS_HANDSHAKE, 0))
ON_THREAD(tls_end, leave(&runner, (s32)USER_RESULT(regs), END_WITH_BYTES))
ON_THREAD(tls_end_ex, leave(&runner, (s32)USER_RESULT(regs), END_WITH_SUCCESS))
ON_THREAD(tls_handshake_end, leave(&runner, 0, END_OF_HANDSHAKE))

/* Go's function writes all or fails, and other goroutines run before it ends: an answer may be read by then. So what it
 * writes is told when it begins, if the session is tied. */
static __always_inline int write_all(struct tls_runner *runner, u64 session, u64 buffer, u64 length)
{
	struct tls_session_key key = {.session = session, .tgid = runner->tgid};
	struct tls_thread *thread;
	struct connection *plain;
	u64 socket;

	enter(runner, TLS_WRITE, session, buffer, 0);
	thread = bpf_map_lookup_elem(&tls_threads, runner);
	socket = socket_of_session(&key);
	plain = socket ? bpf_map_lookup_elem(&tls_connections, &socket) : NULL;
	if (!thread || !plain || !length || length >= GROWN_MAX)
		return 0;
	count(COUNT_TLS_CALLS, 1);
	on_plaintext(plain, thread, runner->tgid, length);
	thread->function = TLS_NONE;
	return 0;
}

#if defined(__TARGET_ARCH_x86)
/* Go since 1.17 passes arguments in registers of its own choice: the receiver in ax, a slice in bx, cx and di, and the
 * goroutine is in r14. The count comes back in ax. */
#define ON_GOROUTINE(name, does) PROGRAM(name, runner_of_goroutine(&runner, regs->r14), does)

ON_GOROUTINE(tls_go_read, enter(&runner, TLS_READ, regs->ax, regs->bx, 0))
ON_GOROUTINE(tls_go_write, write_all(&runner, regs->ax, regs->bx, regs->cx))
ON_GOROUTINE(tls_go_handshake, enter(&runner, TLS_HANDSHAKE, regs->ax, 0, 0))
ON_GOROUTINE(tls_go_end, leave(&runner, (s64)regs->ax, END_WITH_BYTES))
ON_GOROUTINE(tls_go_handshake_end, leave(&runner, 0, END_OF_HANDSHAKE))
#endif

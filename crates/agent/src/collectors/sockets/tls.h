/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * Encrypted connections in plaintext. Probes at the beginning and the end of a TLS library's functions see whose
 * session reads and writes what; the socket hooks see what these functions do to sockets. Both meet here: a session is
 * tied to a socket by evidence, and its plaintext is a connection of its own, with its own offsets, over that socket.
 * Nothing is written into the process.
 *
 * The state of a plaintext connection lives in a hash: programs on user functions have no access to socket storage.
 */
#pragma once

enum tls_function {
	TLS_NONE,
	TLS_READ,
	TLS_WRITE,
	TLS_HANDSHAKE,
};

/* Who runs a TLS function: a thread, or a goroutine, which may change its thread in between. */
struct tls_runner {
	u64 goroutine; /* 0: a thread */
	u32 tgid;
	u32 pid;       /* 0 for a goroutine */
};

struct tls_thread {
	u64 session;
	u64 buffer;
	u64 length_at;       /* where the function writes how much it has moved; 0: it returns it */
	u64 socket;          /* the encrypted socket that was used inside the function; 0: none */
	u64 socket_ns;       /* when */
	u64 received_socket; /* the socket of which an encrypted call was read outside of any TLS function, last */
	u32 function;
	u32 received;        /* how many different such sockets since the last TLS function */
};

struct tls_session_key {
	u64 session;
	u32 tgid;
	u32 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct tls_runner);
	__type(value, struct tls_thread);
} tls_threads SEC(".maps");

/* The cookie of the socket of a session. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct tls_session_key);
	__type(value, u64);
} tls_sessions SEC(".maps");

/* What a new one looks like: too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct connection);
} tls_blank SEC(".maps");

/* Processes that were there before the probes were, and since when the probes are: of their older connections the
 * beginning was not seen. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, u64);
} tls_attached SEC(".maps");

/* Processes in which a probe was hit, and whether what runs there is known by the goroutine. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, u32);
} tls_probed SEC(".maps");

/* A TLS record begins: handshake, alert, change of cipher or data of SSL 3.0 to TLS 1.3. */
static __always_inline bool is_tls_record(const u8 *head)
{
	return head[0] >= 20 && head[0] <= 23 && head[1] == 3 && head[2] <= 4 && ((head[3] << 8) | head[4]) <= 16384 + 2048;
}

/* User space looks into a process that speaks TLS at once whether there is something to hang probes on. */
static __noinline int tell_tls(struct connection *connection, u32 tgid, u64 now)
{
	struct record_tls record = {};

	if (bpf_map_lookup_elem(&tls_probed, &tgid))
		return 0;
	fill_header(&record.header, connection, RECORD_TLS, now);
	record.tgid = tgid;
	return submit_and_wake(connection->ring, &record, sizeof(record), true);
}

/* Some protocols turn to TLS after a few words in the clear, which may have told what they are. */
#define TURNS_WITHIN 1024

static __always_inline bool may_turn_to_tls(struct connection *connection, struct call *call)
{
	return (connection->mode == MODE_UNDECIDED || call->offset < TURNS_WITHIN) &&
	       !(connection->flags & CONNECTION_TLS) && connection->family != AF_UNIX;
}

/* Whether this call shows that the connection is encrypted. */
static __always_inline bool look_for_tls(struct connection *connection, struct call *call)
{
	u64 from = call->buffers.base;
	struct iovec first;
	u8 head[5];

	if (!call->readable || call->length < sizeof(head))
		return false;
	if (call->buffers.vectors) {
		if (bpf_probe_read_user(&first, sizeof(first), (void *)call->buffers.vector))
			return false;
		from = (u64)first.iov_base;
	}
	if (bpf_probe_read_user(head, sizeof(head), (void *)from) || !is_tls_record(head))
		return false;
	connection->flags |= CONNECTION_TLS;
	tell_tls(connection, call->tgid, call->now);
	return true;
}

#if defined(__TARGET_ARCH_x86)
/* The goroutine of the running thread: Go keeps it in the thread's own storage, and in r14 inside of Go functions. */
static __always_inline u64 goroutine_of_thread(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	u64 base = BPF_CORE_READ(task, thread.fsbase), goroutine = 0;

	bpf_probe_read_user(&goroutine, sizeof(goroutine), (void *)(base - 8));
	return goroutine;
}
#else
static __always_inline u64 goroutine_of_thread(void)
{
	return 0;
}
#endif

static __always_inline void runner_of_thread(struct tls_runner *runner)
{
	u64 id = bpf_get_current_pid_tgid();

	runner->goroutine = 0;
	runner->tgid = id >> 32;
	runner->pid = id;
}

static __always_inline void runner_of_goroutine(struct tls_runner *runner, u64 goroutine)
{
	runner->goroutine = goroutine;
	runner->tgid = bpf_get_current_pid_tgid() >> 32;
	runner->pid = 0;
}

static __always_inline struct tls_thread *running_thread(void)
{
	struct tls_thread fresh = {};
	struct tls_runner runner;
	struct tls_thread *thread;
	u32 tgid, *by_goroutine;

	runner_of_thread(&runner);
	tgid = runner.tgid;
	/* So that nobody else's programs pay for it, a thread is only remembered where probes are hit. */
	by_goroutine = bpf_map_lookup_elem(&tls_probed, &tgid);
	if (!by_goroutine)
		return NULL;
	if (*by_goroutine)
		runner_of_goroutine(&runner, goroutine_of_thread());
	thread = bpf_map_lookup_elem(&tls_threads, &runner);
	if (thread)
		return thread;
	bpf_map_update_elem(&tls_threads, &runner, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&tls_threads, &runner);
}

/* The plaintext connection over this socket: it has the addresses, the key and the sides of the socket's own, and counts
 * its own offsets. */
static __noinline int open_plaintext(struct connection *encrypted, u32 tgid)
{
	u64 cookie = encrypted->cookie, *attached_ns;
	struct connection *plain = bpf_map_lookup_elem(&tls_connections, &cookie);
	struct connection *blank;
	u32 zero = 0;

	if (plain)
		return 0;
	blank = bpf_map_lookup_elem(&tls_blank, &zero);
	if (!blank || bpf_map_update_elem(&tls_connections, &cookie, blank, BPF_NOEXIST))
		return 0;
	plain = bpf_map_lookup_elem(&tls_connections, &cookie);
	if (!plain)
		return 0;
	plain->cookie = cookie | TLS_SOCKET;
	set_place(plain, cookie);
	plain->key[0] = encrypted->key[0];
	plain->key[1] = encrypted->key[1];
	plain->netns = encrypted->netns;
	plain->opened_ns = encrypted->opened_ns;
	__builtin_memcpy(plain->local, encrypted->local, sizeof(plain->local));
	__builtin_memcpy(plain->remote, encrypted->remote, sizeof(plain->remote));
	plain->local_port = encrypted->local_port;
	plain->remote_port = encrypted->remote_port;
	plain->family = encrypted->family;
	plain->ring = encrypted->ring;
	plain->flags = (encrypted->flags & ~(u32)CONNECTION_TLS) | OPEN_TLS;
	attached_ns = bpf_map_lookup_elem(&tls_attached, &tgid);
	if (attached_ns && *attached_ns >= encrypted->opened_ns)
		plain->flags &= ~OPEN_FROM_START;
	plain->known = 1;
	return 0;
}

/* A call on an encrypted socket. Inside of a TLS function it is the session's own. Outside of one, on a thread that keeps
 * the encrypted bytes in memory in between, what was received is that of the function that runs next, as long as there is
 * but one socket that it can be. What was sent tells nothing: a function that writes may have had nothing to send, and the
 * next one to send may be another session's. Every session reads before it moves plaintext, so nothing is missed. */
static __noinline int on_encrypted_call(struct connection *connection, u32 tgid, u64 now, u32 sent)
{
	struct tls_thread *thread = running_thread();

	if (!thread)
		return 0;
	if (thread->function) {
		thread->socket = connection->cookie;
		thread->socket_ns = now;
	} else if (!sent) {
		if (!thread->received || thread->received_socket != connection->cookie)
			thread->received++;
		thread->received_socket = connection->cookie;
	} else {
		return 0;
	}
	open_plaintext(connection, tgid);
	return 0;
}

static __always_inline void close_plaintext(struct connection *encrypted, u64 now, u32 reset)
{
	u64 cookie = encrypted->cookie;
	struct connection *plain = bpf_map_lookup_elem(&tls_connections, &cookie);

	if (!plain)
		return;
	if (plain->told)
		tell_close(plain, NULL, now, reset);
	bpf_map_delete_elem(&tls_connections, &cookie);
}

static __always_inline void sweep_plaintext(struct connection *encrypted, u64 now)
{
	u64 cookie = encrypted->cookie;
	struct connection *plain = bpf_map_lookup_elem(&tls_connections, &cookie);

	if (plain)
		flush_overdue(plain, now);
}

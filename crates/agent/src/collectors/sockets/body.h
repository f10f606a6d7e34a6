/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * What every front end calls when bytes have moved through a socket. It knows no front end: it is given the socket, the
 * number of bytes, the call's flags and the direction, in the context of the task that made the call.
 */
#pragma once

/* Limpid's own sockets are left alone. Looked up when somebody else moves the bytes than before. */
static __always_inline bool is_own_call(struct connection *connection, u32 tgid)
{
	if (connection->tgid != tgid) {
		connection->tgid = tgid;
		connection->own = is_own(tgid);
	}
	if (connection->own)
		count(COUNT_OWN, 1);
	return connection->own;
}

static __always_inline void take_verdict(struct connection *connection)
{
	struct verdict *verdict;

	if (!slot_has_moved(connection->cookie, &connection->slot))
		return;
	connection->tgid = 0;
	verdict = bpf_map_lookup_elem(&verdicts, &connection->cookie);
	if (!verdict)
		return;
	connection->verdict = verdict->number;
	connection->mode = verdict->mode;
	connection->limit = verdict->limit;
	connection->skip_sent_until = verdict->skip_sent_until;
	connection->skip_received_until = verdict->skip_received_until;
}

/* TCP's own count, 64 bits wide, behind this call's bytes. */
static __always_inline u64 stream_end(struct connection *connection, struct sock *sk, s32 result, bool sent)
{
	struct tcp_sock *tcp;
	u64 end;

	if (connection->family == AF_UNIX)
		return (sent ? add_to(&connection->sent, result) : add_to(&connection->received, result)) + result;
	tcp = tcp_of(sk);
	if (!tcp)
		return result;
	if (sent) {
		end = connection->sent + (s32)(FIELD(tcp, write_seq) - connection->sent_first - (u32)connection->sent);
		connection->sent = end;
		return end;
	}
	end = connection->received + (s32)(FIELD(tcp, copied_seq) - connection->received_first - (u32)connection->received);
	/* A call that also came upon the FIN has counted it: it takes one sequence number and is no byte. */
	if (end == connection->received + result + 1 && (FIELD(sk, sk_shutdown) & RCV_SHUTDOWN) &&
	    FIELD(tcp, copied_seq) == FIELD(tcp, rcv_nxt))
		end--;
	connection->received = end;
	return end;
}

static __always_inline bool is_skipped(struct connection *connection, struct call *call)
{
	u64 until = call->sent ? connection->skip_sent_until : connection->skip_received_until;

	return call->offset + call->length <= until;
}

/* So many bytes of a call are copied from its front. */
static __always_inline u64 limit_of(struct connection *connection)
{
	if (connection->mode == MODE_HEAD || connection->mode == MODE_ALL)
		return connection->limit;
	return CHUNKS * CHUNK;
}

static __always_inline void dispatch(struct connection *connection, struct call *call)
{
	u64 limit = limit_of(connection);
	struct scratch *scratch;

	call->copied = call->length < limit ? call->length : limit;
	if (!call->wanted || (connection->mode != MODE_UNDECIDED && call->copied <= WAITING_PIECE)) {
		exchange(connection, call);
		return;
	}
	flush_waiting(connection);
	scratch = scratch_of(call->area);
	if (!scratch)
		return;
	send_now(connection, scratch, call, limit, connection->mode == MODE_UNDECIDED);
}

/* Somebody else is at this socket's waiting halves: this call leaves by itself. Offsets put it in its place. */
static __always_inline void send_alone(struct connection *connection, struct call *call)
{
	struct scratch *scratch = scratch_of(call->area);

	if (scratch)
		send_now(connection, scratch, call, call->wanted ? CHUNKS * CHUNK : 0, false);
}

static __always_inline void deliver(struct connection *connection, struct call *call)
{
	if (!lock(connection)) {
		send_alone(connection, call);
		return;
	}
	dispatch(connection, call);
	unlock(connection);
}

static __always_inline void take_arrival(struct connection *connection, struct sock *sk, struct call *call)
{
	struct tcp_sock *tcp;

	if (!connection->arrived_ns)
		return;
	call->arrived_ns = connection->arrived_ns;
	tcp = tcp_of(sk);
	/* What is left unread has waited since this call at most for its reader. */
	connection->arrived_ns = tcp && FIELD(tcp, copied_seq) != FIELD(tcp, rcv_nxt) ? call->now : 0;
}

/* A Unix socket makes no event when it is connected: that it is new is known by what `mark_old_files` has not found. */
static __always_inline bool old_sockets_are_marked(void)
{
	u32 key = OLD_SOCKETS_MARKED;
	u32 *marked = bpf_map_lookup_elem(&progress, &key);

	return marked && *marked;
}

static __always_inline struct connection *connection_of(struct sock *sk, u64 now)
{
	struct connection *connection = make_state(sk);

	if (!connection) {
		count(COUNT_STORAGE_FULL, 1);
		return NULL;
	}
	if (!connection->known) {
		learn(connection, sk, 0, now);
		if (connection->family == AF_UNIX && old_sockets_are_marked())
			connection->flags |= OPEN_FROM_START;
	}
	return connection;
}

/* The peer has ended its direction, and the process has read so. */
static __always_inline void on_end(struct sock *sk)
{
	struct connection *connection = state_of(sk);
	struct record record;

	if (!connection || !connection->told || connection->ended || !(FIELD(sk, sk_shutdown) & RCV_SHUTDOWN))
		return;
	connection->ended = 1;
	flush(connection);
	fill_header(&record, connection, RECORD_END, bpf_ktime_get_ns());
	submit(connection->ring, &record, sizeof(record));
}

/* A function of its own: a program has 512 bytes of stack, those of all its calls together. The result is for the
 * verifier's sake. */
static __noinline int on_moved(struct sock *sk, struct task_struct *task, s32 result, u32 flags, bool sent)
{
	struct connection *connection;
	struct call room, *call = room_for_call(&room, sent);
	bool may_turn;

	if (!call)
		return 0;
	call->now = bpf_ktime_get_ns();
	call->length = result;
	call->arrived_ns = 0;
	call->tgid = FIELD(task, tgid);
	call->sent = sent;
	call->readable = false;
	call->buffers.vectors = 0;
	connection = connection_of(sk, call->now);
	if (!connection)
		return 0;
	take_verdict(connection);
	if (is_own_call(connection, call->tgid))
		return 0;
	call->offset = stream_end(connection, sk, result, sent) - result;
	if (connection->flags & CONNECTION_TLS)
		on_encrypted_call(connection, call->tgid, call->now, sent);
	if (connection->mode == MODE_IGNORE)
		return 0;
	if (!connection->told && !tell(connection, sk, call->tgid, call->now, sent))
		return 0;
	call->wanted = connection->mode != MODE_TIMES && !is_skipped(connection, call);
	may_turn = may_turn_to_tls(connection, call);
	if (call->wanted || may_turn)
		call->readable = !(flags & MSG_TRUNC) && find_buffers(&call->buffers, task, sk, result);
	if (may_turn && look_for_tls(connection, call))
		on_encrypted_call(connection, call->tgid, call->now, sent);
	if (!sent)
		take_arrival(connection, sk, call);
	deliver(connection, call);
	return 0;
}

/* `message`: where the front end sees it, else NULL. */
static __always_inline int on_bytes(struct sock *sk, s32 result, u32 flags, bool sent, struct msghdr *message)
{
	bool streams = is_tcp(sk) || is_unix_stream(sk);
	struct task_struct *task;

	if (!streams && !is_udp(sk))
		return 0;
	task = current_task();
	if (result <= 0) {
		if (result == 0 && !sent && streams)
			on_end(sk);
		end_messages(task);
		return 0;
	}
	if (flags & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	if (FIELD(task, flags) & PF_KTHREAD) {
		count(COUNT_KERNEL_TASK, 1);
		return 0;
	}
	count(COUNT_CALLS, 1);
	if (streams)
		on_moved(sk, task, result, flags, sent);
	else
		on_datagram(sk, task, message, result,
			    (sent ? DATAGRAM_SENT : 0) | (flags & MSG_TRUNC ? DATAGRAM_LONGER : 0));
	return 0;
}

#ifdef STATE_IN_HASH

/* The same for front ends that are given no types. A global function, which the verifier goes through once: it may be
 * called in a loop. */
__noinline int on_bytes_of(u64 sk, s32 result, u32 flags, u32 sent, u64 message)
{
	return on_bytes((struct sock *)sk, result, flags, sent, (struct msghdr *)message);
}

#endif

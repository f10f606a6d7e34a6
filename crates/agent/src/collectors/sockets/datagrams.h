/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * UDP. A socket may speak with many peers, so what is known is kept by socket and peer: a flow. To user space a flow is a
 * connection like any other, with an id of its own; each datagram leaves as a record, until the flow turns out to be
 * nothing that is read: then it is only counted, and the sweep reports how far it is.
 */
#pragma once

#define FLOW_ID (1ull << 63)           /* no socket has a cookie like this */
#define FLOW_IDLE_NS 10000000000ull    /* a flow ends when its socket does, or after this time */
#define DATAGRAM_MAX 4096              /* bytes of a datagram that are copied at most */
#define DATAGRAM_TIMES 16              /* by these bytes the two ends' views of a datagram are known to be of one */
#define VERDICT_DUE_NS 200000000ull    /* user space has said by then what it has to say of a datagram */
#define UNDECIDED_DATAGRAMS 4096       /* of a flow that are copied whole while undecided */
#define UNDECIDED_EACH 16              /* after each so many of them the verdict is worth waking user space for */

struct flow_key {
	u64 cookie;
	u8 remote[16];
	u16 remote_port;
	u16 unused[3];
};

struct flow {
	u64 id;
	u64 last_ns;
	u64 sent;       /* bytes, since it was told of */
	u64 received;
	u64 limit;
	u32 verdict;
	u32 slot;
	u32 mode;
	u32 tgid;
	u32 reported;
	u32 undecided;
	u8 ring;
	u8 told;
	u8 own;
	u8 active;      /* it began with a datagram that was sent */
	u8 forget;      /* it begins anew with the next question */
	u8 unused[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

/* Who sent the datagram that a task is receiving: known to a hook that runs earlier in the same call. */
struct sender {
	u64 cookie;
	u8 remote[16];
	u16 remote_port;
	u16 unused[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct sender);
} senders SEC(".maps");

static __always_inline bool is_udp(struct sock *sk)
{
	u16 family = FIELD(sk, __sk_common.skc_family);

	return (family == AF_INET || family == AF_INET6) && FIELD(sk, sk_protocol) == IPPROTO_UDP;
}

/* struct sockaddr_in and sockaddr_in6: the port has one place, the address two. */
struct name {
	u16 family;
	__be16 port;
	u8 v4[4];
	u8 v6[16];
};

static __always_inline bool peer_from_name(struct flow_key *key, struct name *name)
{
	__be32 v4;

	key->remote_port = bpf_ntohs(name->port);
	if (name->family == AF_INET6) {
		__builtin_memcpy(key->remote, name->v6, sizeof(key->remote));
		return true;
	}
	__builtin_memcpy(&v4, name->v4, sizeof(v4));
	address_from_v4(key->remote, v4);
	return name->family == AF_INET;
}

/* The name that the caller gave or wants to have; the kernel's own copy where the front end sees it. */
static __always_inline bool peer_from_kernel(struct flow_key *key, struct msghdr *message)
{
	void *address = BPF_CORE_READ(message, msg_name);
	struct name name = {};

	if (!address || bpf_probe_read_kernel(&name, sizeof(name), address))
		return false;
	return peer_from_name(key, &name);
}

static __always_inline bool peer_from_user(struct flow_key *key, struct task_struct *task, struct buffers *buffers)
{
	struct pt_regs *regs = registers_of(task);
	struct name name = {};
	u64 address = 0;

	if (buffers->message) {
		/* The name is the message's first member. */
		bpf_probe_read_user(&address, sizeof(address), (void *)buffers->message);
	} else if (CALL_NUMBER(regs) == CALL_SENDTO) {
		address = ARGUMENT_4(regs);
	}
	if (!address || bpf_probe_read_user(&name, 8, (void *)address))
		return false;
	if (name.family == AF_INET6 && bpf_probe_read_user(name.v6, sizeof(name.v6), (void *)(address + 8)))
		return false;
	return peer_from_name(key, &name);
}

static __always_inline bool peer_from_hook(struct flow_key *key, struct sock *sk, struct task_struct *task)
{
	u64 self = (u64)task;
	struct sender *sender = bpf_map_lookup_elem(&senders, &self);

	if (!sender || sender->cookie != kernel_cookie_of(sk, key->cookie))
		return false;
	__builtin_memcpy(key->remote, sender->remote, sizeof(key->remote));
	key->remote_port = sender->remote_port;
	/* It holds for one datagram: the next call may come without a name. */
	sender->cookie = 0;
	return true;
}

static __always_inline bool peer_from_socket(struct flow_key *key, struct sock *sk)
{
	if (!FIELD(sk, __sk_common.skc_dport))
		return false;
	key->remote_port = bpf_ntohs(FIELD(sk, __sk_common.skc_dport));
	if (FIELD(sk, __sk_common.skc_family) == AF_INET)
		address_from_v4(key->remote, FIELD(sk, __sk_common.skc_daddr));
	else
		BPF_CORE_READ_INTO(&key->remote, sk, __sk_common.skc_v6_daddr);
	return true;
}

/* Who receives without asking for the name knows only one who could have sent it. */
static __always_inline bool peer_from_past(struct flow_key *key, struct sock *sk)
{
	struct peer *newest = peer_of(sk);

	if (!newest || newest->others)
		return false;
	__builtin_memcpy(key->remote, newest->remote, sizeof(key->remote));
	key->remote_port = newest->remote_port;
	return true;
}

static __noinline bool find_peer(struct flow_key *key, struct sock *sk, struct task_struct *task, struct call *call,
				struct msghdr *message)
{
	/* A name that is sent to goes before the peer of a connected socket; what a connected one receives is its peer's. */
	if (call->sent) {
		if (message ? peer_from_kernel(key, message) : peer_from_user(key, task, &call->buffers))
			return true;
		return peer_from_socket(key, sk);
	}
	if (peer_from_socket(key, sk))
		return true;
	if ((message && peer_from_kernel(key, message)) || peer_from_hook(key, sk, task))
		return true;
	return peer_from_past(key, sk);
}

static __always_inline void take_flow_verdict(struct flow *flow, u64 silent_ns)
{
	struct verdict *verdict;

	if (!slot_has_moved(flow->id, &flow->slot))
		return;
	flow->tgid = 0;
	verdict = bpf_map_lookup_elem(&verdicts, &flow->id);
	if (!verdict) {
		/* Where many ask once, verdicts fall out of their table within seconds. It may have been that this flow ended. */
		if (silent_ns > VERDICT_DUE_NS)
			flow->forget = 1;
		return;
	}
	if (verdict->mode == MODE_FORGET) {
		flow->forget = 1;
		return;
	}
	flow->verdict = verdict->number;
	flow->mode = verdict->mode;
	flow->limit = verdict->limit;
}

/* Between a question and its answer a flow is not forgotten: the answer would seem to begin a flow the other way round. */
static __always_inline void forget_if_told(struct flow *flow, struct call *call)
{
	if (flow->forget && flow->active == call->sent)
		flow->told = 0;
}

static __always_inline void fill_flow_header(struct record *header, struct flow *flow, u32 kind, u64 now)
{
	fill_record(header, flow->id, flow->verdict, kind, now);
}

/* A flow begins, again if it had ended. Who sends first is taken for the client. */
static __noinline bool tell_flow(struct flow *flow, struct flow_key *key, struct sock *sk, struct call *call)
{
	struct scratch *scratch = scratch_of(call->area);
	struct record_open *open = (struct record_open *)scratch;
	struct peer *newest;

	if (!scratch)
		return false;
	__builtin_memset(open, 0, sizeof(*open));

	flow->id = FLOW_ID | call->now << 8 | (bpf_get_smp_processor_id() & 0xff);
	flow->sent = flow->received = flow->limit = 0;
	flow->verdict = flow->mode = flow->reported = flow->undecided = flow->slot = 0;
	flow->active = call->sent;
	flow->forget = 0;
	fill_flow_header(&open->header, flow, RECORD_OPEN, call->now);
	open->netns = netns_of(sk);
	open->opened_ns = call->now;
	if (FIELD(sk, __sk_common.skc_family) == AF_INET)
		address_from_v4(open->local, FIELD(sk, __sk_common.skc_rcv_saddr));
	else
		BPF_CORE_READ_INTO(&open->local, sk, __sk_common.skc_v6_rcv_saddr);
	__builtin_memcpy(open->remote, key->remote, sizeof(open->remote));
	open->local_port = FIELD(sk, __sk_common.skc_num);
	open->remote_port = key->remote_port;
	open->family = FIELD(sk, __sk_common.skc_family);
	open->flags = OPEN_DATAGRAMS | OPEN_FROM_START | (call->sent ? OPEN_ACTIVE : OPEN_PASSIVE);
	open->tgid = call->tgid;
	/* Both ends have the same two ports, and so the same ring. */
	flow->ring = (u32)(open->local_port ^ open->remote_port) * 2654435761u >> 24;
	flow->told = submit(flow->ring, open, sizeof(*open));
	newest = make_peer(sk);
	if (newest) {
		newest->others |= newest->remote_port && newest->remote_port != key->remote_port;
		newest->others |= newest->remote_port && __builtin_memcmp(newest->remote, key->remote, sizeof(newest->remote));
		__builtin_memcpy(newest->remote, key->remote, sizeof(newest->remote));
		newest->remote_port = key->remote_port;
	}
	return flow->told;
}

static __always_inline u32 bytes_wanted(struct flow *flow, struct call *call)
{
	u64 limit = DATAGRAM_TIMES;

	if (flow->mode == MODE_UNDECIDED && flow->undecided < UNDECIDED_DATAGRAMS) {
		flow->undecided++;
		limit = DATAGRAM_MAX;
	} else if (flow->mode == MODE_HEAD || flow->mode == MODE_ALL) {
		limit = flow->limit;
	}
	if (limit > call->length)
		limit = call->length;
	return limit > DATAGRAM_MAX ? DATAGRAM_MAX : limit;
}

static __noinline bool send_datagram(struct flow *flow, struct scratch *scratch, struct call *call)
{
	u32 want = bytes_wanted(flow, call);
	bool wake;

	fill_flow_header(&scratch->header.header, flow, RECORD_HALVES, call->now);
	scratch->header.header.halves = 1;
	scratch->header.sent = flow->sent;
	scratch->header.received = flow->received;
	scratch->header.tgid = call->tgid;
	scratch->header.unused = 0;
	fill_half(&scratch->half, call, call->now);
	if (call->readable) {
		if (copy_to_scratch(scratch, 0, call, 0, want)) {
			scratch->half.bytes = want;
		} else {
			count(COUNT_PAYLOAD_FAULT, 1);
			scratch->half.flags |= HALF_LOST;
		}
	}
	want = (scratch->half.bytes + 7) & ~7u;
	barrier_var(want);
	if (want > DATAGRAM_MAX)
		return false;
	MASK(want, 2 * DATAGRAM_MAX - 1);
	wake = flow->mode == MODE_UNDECIDED && flow->undecided % UNDECIDED_EACH == UNDECIDED_EACH - 1;
	return submit_and_wake(flow->ring, scratch, sizeof(struct record_halves) + sizeof(struct half) + want, wake);
}

static const struct flow no_flow;

static __always_inline struct flow *flow_of(struct flow_key *key)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, key);

	if (flow)
		return flow;
	bpf_map_update_elem(&flows, key, &no_flow, BPF_NOEXIST);
	return bpf_map_lookup_elem(&flows, key);
}

enum how {
	DATAGRAM_SENT = 1,
	DATAGRAM_LONGER = 2, /* than the buffer */
};

/* A function of its own: its stack and that of the streams need not be there at once. */
static __noinline int on_datagram(struct sock *sk, struct task_struct *task, struct msghdr *message, s32 result, u32 how)
{
	bool sent = how & DATAGRAM_SENT;
	struct flow_key key = {};
	struct scratch *scratch;
	struct flow *flow;
	struct call room, *call = room_for_call(&room, sent);

	if (!call)
		return 0;
	call->now = bpf_ktime_get_ns();
	call->length = result;
	call->arrived_ns = 0;
	call->tgid = FIELD(task, tgid);
	call->sent = sent;
	call->wanted = true;
	call->readable = find_buffers(&call->buffers, task, sk, result) && !(how & DATAGRAM_LONGER);
	key.cookie = cookie_of(sk);
	if (!find_peer(&key, sk, task, call, message)) {
		count(COUNT_SENDER_UNKNOWN, 1);
		return 0;
	}
	flow = flow_of(&key);
	if (!flow) {
		count(COUNT_FLOWS_FULL, 1);
		return 0;
	}
	if (flow->told) {
		take_flow_verdict(flow, call->now - flow->last_ns);
		forget_if_told(flow, call);
	}
	flow->last_ns = call->now;
	if (flow->tgid != call->tgid) {
		flow->tgid = call->tgid;
		flow->own = is_own(call->tgid);
	}
	if (flow->own) {
		count(COUNT_OWN, 1);
		return 0;
	}
	if (!flow->told && !tell_flow(flow, &key, sk, call))
		return 0;
	call->offset = sent ? add_to(&flow->sent, result) : add_to(&flow->received, result);
	scratch = scratch_of(sent);
	if (flow->mode != MODE_IGNORE && scratch)
		send_datagram(flow, scratch, call);
	return 0;
}

static __always_inline void report_flow(struct flow *flow, u32 kind, u64 now)
{
	struct record_progress record = {};

	fill_flow_header(&record.header, flow, kind, now);
	record.sent = flow->sent;
	record.received = flow->received;
	submit(flow->ring, &record, sizeof(record));
}

/* Over all flows, about once a second: those that are only counted tell how far they are, and those at rest end. */
SEC("iter/bpf_map_elem")
int sweep_flows(struct bpf_iter__bpf_map_elem *context)
{
	struct flow *flow = context->value;
	u64 now = bpf_ktime_get_ns();
	u32 moved;

	if (!flow || !flow->told)
		return 0;
	moved = flow->sent + flow->received;
	if (now - flow->last_ns > FLOW_IDLE_NS) {
		flow->told = 0;
		report_flow(flow, RECORD_CLOSE, now);
	} else if (flow->mode == MODE_IGNORE && moved != flow->reported) {
		flow->reported = moved;
		report_flow(flow, RECORD_PROGRESS, now);
	}
	return 0;
}

/* The sender of what an unconnected socket receives is not known yet where the bytes are seen. */
static __always_inline int note_sender(struct bpf_sock_addr *context, bool v6)
{
	u64 task = bpf_get_current_task();
	struct sender sender = {};
	u32 address[4];

	sender.cookie = bpf_get_socket_cookie(context);
	sender.remote_port = bpf_ntohs((u16)context->user_port);
	if (v6) {
		address[0] = context->user_ip6[0];
		address[1] = context->user_ip6[1];
		address[2] = context->user_ip6[2];
		address[3] = context->user_ip6[3];
		__builtin_memcpy(sender.remote, address, sizeof(sender.remote));
	} else {
		address_from_v4(sender.remote, context->user_ip4);
	}
	bpf_map_update_elem(&senders, &task, &sender, BPF_ANY);
	return 1;
}

SEC("cgroup/recvmsg4")
int cgroup_sender4(struct bpf_sock_addr *context)
{
	return note_sender(context, false);
}

SEC("cgroup/recvmsg6")
int cgroup_sender6(struct bpf_sock_addr *context)
{
	return note_sender(context, true);
}

/* `key` has the socket's cookie. */
static __always_inline void end_newest_flow(struct flow_key *key, struct peer *newest)
{
	struct flow *flow;

	__builtin_memcpy(key->remote, newest->remote, sizeof(key->remote));
	key->remote_port = newest->remote_port;
	flow = bpf_map_lookup_elem(&flows, key);
	if (flow && flow->told) {
		report_flow(flow, RECORD_CLOSE, bpf_ktime_get_ns());
		bpf_map_delete_elem(&flows, key);
	}
}

#ifndef STATE_IN_HASH

/* The end of a UDP socket has no tracepoint. */
SEC("cgroup/sock_release")
int cgroup_release(struct bpf_sock *context)
{
	struct peer *newest = peer_of(context);
	struct flow_key key = {};

	if (!newest)
		return 1;
	key.cookie = bpf_get_socket_cookie(context);
	end_newest_flow(&key, newest);
	return 1;
}

#endif

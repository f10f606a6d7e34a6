/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * What the kernel's side knows of a socket. It lives in the socket's own storage and goes with it. A connection is
 * known by the two initial sequence numbers, which are equal at both ends, and its offsets are TCP's own.
 */
#pragma once

/* Room for several short exchanges, or for one whose halves have WAITING_PIECE bytes each. With the rest of the storage
 * it fills what the kernel allocates, 2 KiB. */
#ifndef STATE_IN_HASH
#define WAITING_PIECE 512
#define WAITING_BYTES 1704
#else
/* A table's room is taken at once, used or not. */
#define WAITING_PIECE 256
#define WAITING_BYTES 672
#endif
#define WAITING_SHORT 64

/* Of its flags, beside those that user space is told: its bytes are encrypted. */
#define CONNECTION_TLS 0x8000

/* The value begins 8 bytes into a cache line. An event costs what it touches, and these lines are cold at each call, so:
 * the first is rarely written (an arrival runs on the sender's CPU and looks there), the next is what every call writes,
 * arrivals have one that bounces between the two CPUs alone, and then come the waiting halves. */
struct connection {
	u64 cookie;
	u64 skip_sent_until;
	u64 skip_received_until;
	u32 sent_first;      /* sequence number of the first byte */
	u32 received_first;
	u32 limit;
	u32 verdict;
	u32 slot;            /* the slot's count when the verdict was last looked up */
	u16 flags;
	u16 local_port;
	u16 remote_port;
	u8 family;
	u8 ring;
	u8 mode;
	u8 known;            /* key and addresses are there */
	u8 told;             /* user space knows it */
	u8 ended;
	/* the second line */
	u64 sent;            /* offset behind the last byte sent, and read */
	u64 received;
	u64 answered_ns;     /* when the last exchange was complete */
	u64 waiting_since_ns;
	u64 last_end;        /* of the last waiting half: the offset behind it */
	u16 last_half;       /* where it begins */
	u16 waiting_bytes;
	u32 waiting_tgid;    /* who moved the bytes of the waiting halves */
	u32 busy;
	u32 tgid;            /* who moved the last bytes */
	u32 undecided_bytes; /* copied while undecided */
	u16 waiting_halves;
	u8 last_grows;       /* a call that continues it in this direction may be added: 1 sent, 2 received */
	u8 own;              /* the process is one of Limpid's */
	/* the third line */
	u64 arrived_ns;      /* before it is established: when the connecting began */
	u64 key[2];          /* TCP: the initial sequence numbers of client and server. Unix: the cookies, smaller first */
	u64 netns;
	u64 opened_ns;
	u8 local[16];
	u32 connect_us;      /* who connected: how long it took */
	u32 reported;        /* how far it was at the last report of its progress */
	u8 remote[16];
	/* Halves that wait for the rest of their exchange: a record as it will be submitted. */
	struct {
		struct record_halves header;
		u8 halves[WAITING_BYTES];
	} waiting;
#ifdef STATE_IN_HASH
	u64 address; /* of the socket */
	u64 inode;
#endif
};

_Static_assert(__builtin_offsetof(struct connection, sent) == 56, "the first line holds what is rarely written");
_Static_assert(__builtin_offsetof(struct connection, arrived_ns) == 56 + 64, "every call writes the second line alone");
_Static_assert(__builtin_offsetof(struct connection, remote) == 56 + 128, "arrivals have the third line");

#include "storage.h"

static __always_inline bool is_tcp(struct sock *sk)
{
	u16 family = FIELD(sk, __sk_common.skc_family);

	/* MPTCP has a protocol of its own and is no tcp_sock. */
	return (family == AF_INET || family == AF_INET6) && FIELD(sk, sk_protocol) == IPPROTO_TCP;
}

static __always_inline bool is_unix_stream(struct sock *sk)
{
	return FIELD(sk, __sk_common.skc_family) == AF_UNIX && FIELD(sk, sk_type) == SOCK_STREAM;
}

/* The ring is chosen by what both ends have in common. */
static __always_inline u8 ring_of(struct connection *connection)
{
	u32 mixed = (u32)(connection->key[0] ^ connection->key[1]) * 2654435761u;

	return mixed >> 24;
}

static __always_inline u64 netns_of(struct sock *sk)
{
	struct net *net = FIELD(sk, __sk_common.skc_net.net);

	if (bpf_core_field_exists(net->net_cookie))
		return BPF_CORE_READ(net, net_cookie);
	return BPF_CORE_READ(net, ns.inum);
}

static __always_inline void address_from_v4(u8 *to, __be32 address)
{
	/* IPv4 is kept as the mapped IPv6 address: one form, and user space takes the mapping off. */
	__builtin_memset(to, 0, 10);
	to[10] = to[11] = 0xff;
	__builtin_memcpy(to + 12, &address, 4);
}

static __always_inline void fill_addresses(struct connection *connection, struct sock *sk)
{
	connection->family = FIELD(sk, __sk_common.skc_family);
	connection->local_port = FIELD(sk, __sk_common.skc_num);
	connection->remote_port = bpf_ntohs(FIELD(sk, __sk_common.skc_dport));
	if (connection->family == AF_INET) {
		address_from_v4(connection->local, FIELD(sk, __sk_common.skc_rcv_saddr));
		address_from_v4(connection->remote, FIELD(sk, __sk_common.skc_daddr));
		return;
	}
	BPF_CORE_READ_INTO(&connection->local, sk, __sk_common.skc_v6_rcv_saddr);
	BPF_CORE_READ_INTO(&connection->remote, sk, __sk_common.skc_v6_daddr);
}

/* What TCP counts, read until two readings agree: the other CPU may be at work on an acknowledgement. */
struct tcp_counts {
	u32 snd_una, snd_nxt, rcv_nxt, unused;
	u64 acked, received, sent;
};

static __always_inline void read_counts(struct tcp_counts *counts, struct tcp_sock *tcp)
{
	counts->snd_una = FIELD(tcp, snd_una);
	counts->snd_nxt = FIELD(tcp, snd_nxt);
	counts->rcv_nxt = FIELD(tcp, rcv_nxt);
	counts->unused = 0;
	counts->acked = FIELD(tcp, bytes_acked);
	counts->received = FIELD(tcp, bytes_received);
	counts->sent = FIELD(tcp, bytes_sent) - FIELD(tcp, bytes_retrans);
}

static __always_inline bool same_counts(struct tcp_counts *a, struct tcp_counts *b)
{
	return a->snd_una == b->snd_una && a->rcv_nxt == b->rcv_nxt && a->acked == b->acked &&
	       a->received == b->received && a->snd_nxt == b->snd_nxt && a->sent == b->sent;
}

static __always_inline void stable_counts(struct tcp_counts *counts, struct tcp_sock *tcp)
{
	struct tcp_counts again;

	read_counts(counts, tcp);
	for (int i = 0; i < 4; i++) {
		read_counts(&again, tcp);
		if (same_counts(counts, &again))
			return;
		*counts = again;
	}
}

/* Who opened an old connection: the SYN of the active opener was acknowledged and counts in bytes_acked, and never in
 * bytes_sent. Once a FIN was sent too, the numbers no longer tell. */
static __always_inline u16 role_from_counts(struct tcp_counts *counts, u8 state)
{
	u32 by_acked = counts->snd_una - (u32)counts->acked;
	u32 by_sent = counts->snd_nxt - (u32)counts->sent;

	if (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT)
		return 0;
	if (by_sent - by_acked == 1)
		return OPEN_ACTIVE;
	return by_sent == by_acked ? OPEN_PASSIVE : 0;
}

static __always_inline void learn_tcp(struct connection *connection, struct sock *sk, u16 role)
{
	struct tcp_sock *tcp = tcp_of(sk);
	struct tcp_counts counts;
	u32 own, peer;

	if (!tcp)
		return;
	stable_counts(&counts, tcp);
	if (!role)
		role = role_from_counts(&counts, FIELD(sk, __sk_common.skc_state));
	connection->flags = role;
	own = counts.snd_una - (u32)counts.acked + (role == OPEN_ACTIVE);
	peer = counts.rcv_nxt - (u32)counts.received;
	connection->sent_first = own;
	connection->received_first = peer;
	/* 64 bits wide from the start, for connections that have moved more than 4 GiB. */
	connection->sent = counts.acked - (role == OPEN_ACTIVE) + (u32)(FIELD(tcp, write_seq) - counts.snd_una);
	connection->received = counts.received - (u32)(counts.rcv_nxt - FIELD(tcp, copied_seq));
	if (!role)
		role = connection->local_port < connection->remote_port ? OPEN_PASSIVE : OPEN_ACTIVE;
	connection->key[0] = (u32)((role == OPEN_ACTIVE ? own : peer) - 1);
	connection->key[1] = (u32)((role == OPEN_ACTIVE ? peer : own) - 1);
}

static __always_inline void learn_unix(struct connection *connection, struct sock *sk)
{
	struct unix_sock *unix = unix_of(sk);
	struct sock *peer;
	u64 peer_cookie;
	bool named, peer_named;

	if (!unix)
		return;
	peer = FIELD(unix, peer);
	if (!peer)
		return;
	peer_cookie = cookie_of(peer);
	connection->key[0] = connection->cookie < peer_cookie ? connection->cookie : peer_cookie;
	connection->key[1] = connection->cookie < peer_cookie ? peer_cookie : connection->cookie;
	/* accept gives the new socket its listener's name; who connects has none as a rule. */
	named = FIELD(unix, addr) != NULL;
	peer_named = BPF_CORE_READ((struct unix_sock *)peer, addr) != NULL;
	if (named != peer_named)
		connection->flags = named ? OPEN_PASSIVE : OPEN_ACTIVE;
}

static SELDOM int learn(struct connection *connection, struct sock *sk, u16 role, u64 now)
{
	connection->cookie = cookie_of(sk);
	connection->netns = netns_of(sk);
	connection->opened_ns = now;
	if (FIELD(sk, __sk_common.skc_family) == AF_UNIX) {
		connection->family = AF_UNIX;
		learn_unix(connection, sk);
	} else {
		fill_addresses(connection, sk);
		learn_tcp(connection, sk, role);
	}
	connection->ring = ring_of(connection);
	connection->known = 1;
	return 0;
}

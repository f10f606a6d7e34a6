/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
 *
 * Where the state of a socket is kept, and what it is called: in the socket's own storage, with which it goes; or, with
 * STATE_IN_HASH, in tables by the socket's address, out of which it is taken when the socket is destroyed.
 */
#pragma once

/* The peer of a socket's newest flow: most sockets have one, and it ends with them. */
struct peer {
	u8 remote[16];
	u16 remote_port;
	u16 others;     /* there were others before it */
	u16 unused[2];
};

/* Plaintext connections by the cookie of their socket. Only the sockets whose sessions are watched have one. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct connection);
} tls_connections SEC(".maps");

#ifndef STATE_IN_HASH

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct connection);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct peer);
} newest_peers SEC(".maps");

#define state_of(sk) ((struct connection *)bpf_sk_storage_get(&connections, sk, 0, 0))
#define make_state(sk) ((struct connection *)bpf_sk_storage_get(&connections, sk, 0, BPF_SK_STORAGE_GET_F_CREATE))
#define peer_of(sk) ((struct peer *)bpf_sk_storage_get(&newest_peers, sk, 0, 0))
#define make_peer(sk) ((struct peer *)bpf_sk_storage_get(&newest_peers, sk, 0, BPF_SK_STORAGE_GET_F_CREATE))
#define cookie_of(sk) bpf_get_socket_cookie(sk)
#define kernel_cookie_of(sk, cookie) (cookie)
#define begins_anew(sk)
#define set_place(plain, cookie)

#define TRIES 64

static __always_inline bool take(u32 *busy)
{
	return __sync_val_compare_and_swap(busy, 0, 1) == 0;
}

static __always_inline void give(u32 *busy)
{
#if defined(__TARGET_ARCH_x86)
	/* x86 keeps the order of stores, and a plain one is a tenth of an exchange. */
	barrier();
	*(volatile u32 *)busy = 0;
#else
	__sync_lock_test_and_set(busy, 0);
#endif
}

#else

/* The least recently used ones make room: what is forgotten so is learned again from the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct connection);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct peer);
} newest_peers SEC(".maps");

/* Before 5.12 these programs have no cookie of the kernel's: their own stands for it. Either end of a Unix socket may
 * give the other's. */
struct identity {
	u64 cookie;
	u64 inode;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, struct identity);
} identities SEC(".maps");

#define COOKIES (~(3ull << 62)) /* those above are of flows and of plaintext */

/* That a socket was destroyed may go unseen: a probe does not run while another does on the same processor, and for system
 * calls there is none. So the address may be another's by now, and the inode tells them apart. A socket has none (0) before
 * it is accepted, and again once it is closed. */
static __always_inline u64 inode_of(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
}

static __always_inline bool is_same_socket(u64 known, u64 inode, struct sock *sk)
{
	if (!known || known == inode)
		return true;
	return !inode && (BPF_CORE_READ(sk, __sk_common.skc_flags) & SOCK_DEAD);
}

static __noinline u64 cookie_of(struct sock *sk)
{
	u64 key = (u64)sk;
	struct identity *identity = bpf_map_lookup_elem(&identities, &key);
	struct identity fresh = {.inode = inode_of(sk)};

	if (identity && is_same_socket(identity->inode, fresh.inode, sk)) {
		if (!identity->inode)
			identity->inode = fresh.inode;
		return identity->cookie;
	}
	if (identity)
		bpf_map_delete_elem(&newest_peers, &key);
	fresh.cookie = ((u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32()) & COOKIES;
	bpf_map_update_elem(&identities, &key, &fresh, identity ? BPF_ANY : BPF_NOEXIST);
	/* Somebody else may have been first. */
	identity = bpf_map_lookup_elem(&identities, &key);
	return identity ? identity->cookie : fresh.cookie;
}

/* A hook that is given the socket knows the kernel's cookie only, and has put it into the socket by asking for it. */
#define kernel_cookie_of(sk, cookie) (u64)BPF_CORE_READ(sk, __sk_common.skc_cookie.counter)

static __always_inline void forget(struct sock *sk)
{
	u64 key = (u64)sk;

	bpf_map_delete_elem(&connections, &key);
	bpf_map_delete_elem(&newest_peers, &key);
	bpf_map_delete_elem(&identities, &key);
}

/* From now on the identity, too, is known to be this socket's. */
static __always_inline void set_inode(struct connection *connection, u64 key, u64 inode)
{
	struct identity *identity = bpf_map_lookup_elem(&identities, &key);

	connection->inode = inode;
	if (identity && !identity->inode)
		identity->inode = inode;
}

static __always_inline struct connection *state_of(struct sock *sk)
{
	u64 key = (u64)sk, inode;
	struct connection *connection = bpf_map_lookup_elem(&connections, &key);

	if (!connection)
		return NULL;
	inode = inode_of(sk);
	if (connection->inode == inode)
		return connection;
	if (!is_same_socket(connection->inode, inode, sk)) {
		bpf_map_delete_elem(&connections, &key);
		return NULL;
	}
	if (inode)
		set_inode(connection, key, inode);
	return connection;
}

/* The state of a socket or of the plaintext over one, by its `address`: a cookie is no address of the kernel's. */
static __always_inline struct connection *state_at(u64 address)
{
	if ((s64)address > 0)
		return bpf_map_lookup_elem(&tls_connections, &address);
	return state_of((struct sock *)address);
}

#define set_place(plain, cookie) (plain)->address = (cookie)

static const struct connection no_connection;

static __always_inline struct connection *make_state(struct sock *sk)
{
	struct connection *connection = state_of(sk);
	u64 key = (u64)sk;

	if (connection)
		return connection;
	bpf_map_update_elem(&connections, &key, &no_connection, BPF_NOEXIST);
	connection = bpf_map_lookup_elem(&connections, &key);
	if (connection)
		connection->address = key;
	return connection;
}

static const struct peer no_peer;

static __always_inline struct peer *peer_of(struct sock *sk)
{
	u64 key = (u64)sk;

	return bpf_map_lookup_elem(&newest_peers, &key);
}

static __always_inline struct peer *make_peer(struct sock *sk)
{
	struct peer *peer = peer_of(sk);
	u64 key = (u64)sk;

	if (peer)
		return peer;
	bpf_map_update_elem(&newest_peers, &key, &no_peer, BPF_NOEXIST);
	return bpf_map_lookup_elem(&newest_peers, &key);
}

/* A socket that was just accepted: whatever is known of its address is of another, whose end was not seen. */
static __always_inline void begins_anew(struct sock *sk)
{
	forget(sk);
}

#define TRIES 8

/* Without compare and swap: who has raised the count from 0 and finds it at 1 is alone. Two who come at once may both
 * leave. */
static __always_inline bool take(u32 *busy)
{
	__sync_fetch_and_add(busy, 1);
	if (*(volatile u32 *)busy == 1)
		return true;
	__sync_fetch_and_add(busy, -1);
	return false;
}

static __always_inline void give(u32 *busy)
{
	__sync_fetch_and_add(busy, -1);
}

#endif

/* One at a time on a socket's waiting halves. Nobody waits long for it: the holder runs a few hundred instructions and
 * cannot sleep. Who does not get it in time submits his own record by itself. */
static __always_inline bool lock(struct connection *connection)
{
	for (int i = 0; i < TRIES; i++)
		if (take(&connection->busy))
			return true;
	count(COUNT_BUSY, 1);
	return false;
}

static __always_inline void unlock(struct connection *connection)
{
	give(&connection->busy);
}

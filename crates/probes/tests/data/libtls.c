// Functions of a TLS library in the shapes that matter: a canary, a wrapper, a table of cases, a jump to another one.
struct ssl {
    int state;
    int (*read)(struct ssl *, void *, int);
    long count;
};

__attribute__((noinline)) int internal(struct ssl *s, void *buffer, unsigned long size, unsigned long *done) {
    volatile char room[16] = { (char)size };
    if (!s->read) return -1;
    *done = s->count + room[3];
    return s->read(s, buffer, (int)size) > 0;
}

int SSL_read(struct ssl *s, void *buffer, int size) {
    unsigned long done;
    if (size < 0) return -1;
    return internal(s, buffer, size, &done) > 0 ? (int)done : 0;
}

__attribute__((optimize("no-stack-protector"))) int SSL_read_ex(struct ssl *s, void *buffer, unsigned long size, unsigned long *done) {
    int result = internal(s, buffer, size, done);
    return result < 0 ? 0 : result;
}

int SSL_write(struct ssl *s, void *buffer, int size) {
    switch (s->state) {
    case 0: return -1;
    case 1: s->count++; return s->read(s, buffer, size);
    case 2: s->count--; return size;
    case 3: s->state = 4; return s->read(s, buffer, 0);
    case 4: return s->read(s, 0, size) + 1;
    case 5: s->count += size; return s->read(s, 0, 0);
    }
    return 0;
}

int SSL_do_handshake(struct ssl *s) { return s->read(s, 0, 0); }

int SSL_connect(struct ssl *s) {
    s->state = 1;
    return SSL_do_handshake(s);
}

const char version[] = "OpenSSL 3.0.17 1 Jul 2025";

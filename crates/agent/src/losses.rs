//! Every place where something is lost has a named counter here. They are metrics and part of the status page.

use std::sync::atomic::{AtomicU64, Ordering};

pub struct Loss {
    /// Label `cause` of `limpid_losses_total`.
    pub cause: &'static str,
    pub help: &'static str,
    count: AtomicU64,
}

impl Loss {
    const fn new(cause: &'static str, help: &'static str) -> Self {
        Loss { cause, help, count: AtomicU64::new(0) }
    }
    pub fn add(&self, count: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
    }
    /// For counters that the kernel keeps: its total so far.
    pub fn set(&self, total: u64) {
        self.count.store(total, Ordering::Relaxed);
    }
    pub fn get(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

macro_rules! losses {
    ($($name:ident $cause:literal $help:literal;)*) => {
        $(pub static $name: Loss = Loss::new($cause, $help);)*
        /// All of them, in the order of the status page.
        pub static ALL: &[&Loss] = &[$(&$name),*];
    };
}

losses! {
    RING_FULL "ring_full" "records that found the ring buffer full";
    RING_FULL_BYTES "ring_full_bytes" "payload bytes of those records";
    STORAGE_FULL "socket_storage" "sockets for which the kernel had no storage";
    PAYLOAD_FAULT "payload_fault" "calls whose buffer could not be read (paged out)";
    NO_PAYLOAD "no_payload" "calls without a user buffer: sendfile, splice";
    IO_URING "io_uring" "calls by io_uring, whose buffers are not read";
    SENDER_UNKNOWN "sender_unknown" "datagrams of which it could not be told from whom or to whom they are";
    STORAGE_FULL_FLOWS "flows_full" "datagrams for whose flow the kernel had no storage";
    TLS_UNTIED "tls_untied" "bytes of plaintext of TLS sessions whose socket is not known";
    TLS_AMBIGUOUS "tls_ambiguous" "calls by which a TLS session could not be tied to a socket, as there was more than one";
    COMPAT_CALL "compat_call" "32-bit system calls, whose arguments are not decoded";
    VERDICT_LOST "verdict_lost" "verdicts that fell out of the kernel's table";
    UNKNOWN_SOCKET "unknown_socket" "records of sockets whose opening was not seen";
    CONNECTIONS_CAPPED "connections_capped" "connections beyond the agent's table";
    TIMES_LOST "times_lost" "views of requests whose own times were lost: they have those of the other end";
    ORPHAN_ANSWERS "orphan_answers" "answers whose request was not seen";
    PARSE_GIVEN_UP "parse_given_up" "connections whose protocol was un-pinned after damage";
    SERIES_CAPPED "series_capped" "requests counted under _OTHER because a cap was reached";
    CERTIFICATES_CAPPED "certificates_capped" "certificates beyond those that are kept of one client and server";
    SPANS_QUEUE_FULL "spans_queue_full" "spans dropped because the export queue was full";
    EXPORT_FAILED "export_failed" "spans and points dropped because the server did not take them in time";
    SPOOL_FULL "spool_full" "spans and points dropped from the spool, the oldest first, because it reached its size";
    SPOOL_TORN "spool_torn" "files of the spool whose torn end was cut off";
    SPOOL_DAMAGED "spool_damaged" "spans and points in the spool that could not be read back";
    PROCESS_UNKNOWN "process_unknown" "processes gone before anything was known of them";
    PROCESS_RING_FULL "process_ring_full" "starts and ends of processes that found their ring buffer full";
    PROCESS_RECORDS "process_records" "records of processes that could not be read";
}

//! What is left alone, and what changes for connections that are open when the settings do.

use super::connection::Conn;
use super::consumer::Pipeline;
use crate::capture::SocketInfo;
use limpid_model::Side;
use limpid_protocols::Options;
use std::sync::atomic::Ordering;

impl Pipeline {
    pub(super) fn is_to_be_left_alone(&self, conn: &Conn) -> bool {
        conn.known_ends().any(|end| end.process.own || self.asks_own(&end.info) || self.is_excluded_port(&end.info))
    }

    /// A browser or a scraper that asks Limpid itself is no part of the architecture.
    fn asks_own(&self, info: &SocketInfo) -> bool {
        let (Some((local, _)), Some((remote, port))) = (info.local, info.remote) else { return false };
        let here = remote.is_loopback() || remote == local;
        here && info.side != Some(Side::Server) && self.inner.identity.is_own_port(port)
    }

    /// By the server's port; of a connection that is older than the agent it may be either.
    fn is_excluded_port(&self, info: &SocketInfo) -> bool {
        let excluded = |address: Option<(std::net::IpAddr, u16)>| {
            address.is_some_and(|(_, port)| self.inner.identity.is_excluded_port(port))
        };
        match info.side {
            Some(Side::Server) => excluded(info.local),
            Some(Side::Client) => excluded(info.remote),
            None => excluded(info.local) || excluded(info.remote),
        }
    }

    /// Nothing of it is wanted: no request, also none that waits, and no byte.
    pub(super) fn leave_alone(&mut self, conn: &mut Conn) {
        conn.ignore();
        conn.left_alone = true;
        self.pending -= conn.pending.len();
        conn.pending.clear();
    }

    /// Settings that have changed hold for open connections too.
    pub(super) fn take_up_settings(&mut self) {
        let settings = self.inner.settings.load(Ordering::Acquire);
        if self.settings == settings {
            return;
        }
        self.settings = settings;
        let former = std::mem::replace(&mut self.options, self.inner.options());
        for slot in 0..self.conns.len() as u32 {
            let Some(mut conn) = self.conns.get_mut(slot as usize).and_then(Option::take) else { continue };
            self.take_up_settings_of(&mut conn, &former);
            self.put_back(slot, conn);
            self.after_event(slot);
        }
    }

    fn take_up_settings_of(&mut self, conn: &mut Conn, former: &Options) {
        for end in conn.ends.iter_mut().flatten() {
            end.process = self.inner.identity.process(end.tgid);
        }
        let now_off = conn.protocol.is_some_and(|protocol| self.options.off.has(protocol));
        match self.is_to_be_left_alone(conn) {
            true if !conn.left_alone => self.leave_alone(conn),
            true => {}
            false if conn.left_alone => conn.begin_again(),
            false if conn.unread && former.off != self.options.off => conn.begin_again(),
            false if now_off => {
                self.pending -= conn.pending.len();
                conn.pending.clear();
                conn.leave_unread();
            }
            // What a parser reads is fixed when it begins.
            false => conn.outdated |= conn.engine.is_some() && former.details != self.options.details,
        }
    }
}

/// A collector that is switched off takes its consumers along: what they know still counts, and nothing stays open.
impl Drop for Pipeline {
    fn drop(&mut self) {
        for slot in 0..self.conns.len() as u32 {
            self.remove(slot);
        }
    }
}

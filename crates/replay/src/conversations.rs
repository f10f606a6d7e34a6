//! Conversations over UDP in a capture, each through the engine that live datagrams go through.

use super::flows::{Endpoint, Ends, FlowSink};
use super::layers::Datagram;
use limpid_model::{Direction, Unanswered};
use limpid_protocols::{Datagrams, Hints, Options};
use std::collections::HashMap;
use std::net::IpAddr;

/// At once; beyond that the half that was silent for longest ends.
const MAX_CONVERSATIONS: usize = 1 << 17;

struct Conversation {
    ends: Ends,
    engine: Datagrams,
    last_ns: u64,
}

pub struct Conversations {
    conversations: HashMap<(Endpoint, Endpoint), Conversation>,
    options: Options,
}

impl Conversations {
    pub fn new(options: Options) -> Self {
        Conversations { conversations: HashMap::new(), options }
    }

    pub fn datagram(&mut self, datagram: &Datagram<'_>, time_ns: u64, sink: &mut impl FlowSink) {
        // What is said to many is no request to a server.
        if is_for_many(datagram.destination.0) {
            return;
        }
        let key = (datagram.source.min(datagram.destination), datagram.source.max(datagram.destination));
        if self.conversations.len() >= MAX_CONVERSATIONS && !self.conversations.contains_key(&key) {
            self.make_room(sink);
        }
        let options = &self.options;
        let conversation = self.conversations.entry(key).or_insert_with(|| Conversation::new(datagram, options));
        conversation.datagram(datagram, time_ns, sink);
    }

    pub fn finish(self, sink: &mut impl FlowSink) {
        close(self.conversations.into_values().collect(), sink);
    }

    fn make_room(&mut self, sink: &mut impl FlowSink) {
        let mut times: Vec<u64> = self.conversations.values().map(|conversation| conversation.last_ns).collect();
        let middle = times.len() / 2;
        let (_, last_ns, _) = times.select_nth_unstable(middle);
        let silent = self.conversations.extract_if(|_, conversation| conversation.last_ns <= *last_ns);
        close(silent.map(|(_, conversation)| conversation).collect(), sink);
    }
}

fn close(mut conversations: Vec<Conversation>, sink: &mut impl FlowSink) {
    conversations.sort_by_key(|conversation| conversation.last_ns);
    for mut conversation in conversations {
        sink.on_connection(conversation.ends());
        conversation.engine.close(Unanswered::Closed, conversation.last_ns, sink);
    }
}

impl Conversation {
    fn new(datagram: &Datagram<'_>, options: &Options) -> Self {
        let Datagram { source, destination, .. } = *datagram;
        // The lower port is more often the server's; the engine finds out if it is not.
        let (client, server) = if destination.1 <= source.1 { (source, destination) } else { (destination, source) };
        let hints = Hints { client_port: client.1, server_port: server.1, from_start: false };
        Conversation { ends: Ends { client, server }, engine: Datagrams::new(hints, options), last_ns: 0 }
    }

    fn datagram(&mut self, datagram: &Datagram<'_>, time_ns: u64, sink: &mut impl FlowSink) {
        self.last_ns = self.last_ns.max(time_ns);
        let direction = if datagram.source == self.ends.client { Direction::ToServer } else { Direction::ToClient };
        sink.on_connection(self.ends());
        self.engine.datagram(direction, time_ns, datagram.payload, datagram.length as u64, sink);
    }

    fn ends(&self) -> Ends {
        let Ends { client, server } = self.ends;
        if self.engine.swapped() { Ends { client: server, server: client } } else { self.ends }
    }
}

fn is_for_many(address: IpAddr) -> bool {
    address.is_multicast() || matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

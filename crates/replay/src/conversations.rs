//! Conversations over UDP in a capture, each through the engine that live datagrams go through.

use super::flows::{Endpoint, Ends, FlowSink};
use super::layers::Datagram;
use limpid_model::{Direction, Unanswered};
use limpid_protocols::{Datagrams, Hints, Options};
use std::collections::HashMap;

/// At once; beyond that the half that was silent for longest ends.
const MAX_CONVERSATIONS: usize = 1 << 16;

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
        // What is said to a group is no request to a server; a broadcast looks for one.
        if datagram.destination.0.is_multicast() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Collected;

    const QUESTION: &[u8] = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x04shop\0\0\x01\0\x01";

    fn ask(conversations: &mut Conversations, number: u32, destination: [u8; 4], found: &mut Collected) {
        let source = (std::net::Ipv4Addr::from(number).into(), 40_000);
        let datagram =
            Datagram { source, destination: (destination.into(), 53), payload: QUESTION, length: QUESTION.len() };
        conversations.datagram(&datagram, u64::from(number), found);
    }

    #[test]
    fn a_broadcast_looks_for_a_server_and_a_multicast_does_not() {
        for (destination, expected) in [([255; 4], 1), ([224, 0, 0, 251], 0)] {
            let (mut conversations, mut found) = (Conversations::new(Options::default()), Collected::default());
            ask(&mut conversations, 1, destination, &mut found);
            conversations.finish(&mut found);
            assert_eq!(found.requests.len(), expected);
        }
    }

    #[test]
    fn conversations_are_bounded_and_none_is_lost() {
        let (mut conversations, mut found) = (Conversations::new(Options::default()), Collected::default());
        let asked = MAX_CONVERSATIONS as u32 + 1000;
        for number in 0..asked {
            ask(&mut conversations, number, [192, 0, 2, 53], &mut found);
            assert!(conversations.conversations.len() <= MAX_CONVERSATIONS);
        }
        assert!(found.requests.len() >= MAX_CONVERSATIONS / 2, "the silent ones ended");
        conversations.finish(&mut found);
        assert_eq!(found.requests.len(), asked as usize);
    }
}

//! Conversations recorded from real programs (`tests/data/record.py`), delivered whole, cut, shuffled and with gaps.

use crate::Options;
use crate::testing::{
    Script, ToClient, ToServer, assert_gaps_invent_nothing, assert_same_at_every_cut, line, play, play_shuffled,
};
use limpid_model::request::Attribute;
use std::path::PathBuf;

pub(crate) type Conversation = Vec<(limpid_model::Direction, Vec<u8>)>;

pub(crate) fn recorded(name: &str) -> Vec<Conversation> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let conversations = text.split("# connection").map(|part| part.lines().filter_map(call).collect());
    conversations.filter(|calls: &Conversation| !calls.is_empty()).collect()
}

fn call(line: &str) -> Option<(limpid_model::Direction, Vec<u8>)> {
    let (side, hex) = line.split_once(' ')?;
    let bytes = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex"));
    Some((if side == "C" { ToServer } else { ToClient }, bytes.collect()))
}

fn script(conversation: &Conversation) -> Vec<(limpid_model::Direction, &[u8])> {
    conversation.iter().map(|(direction, bytes)| (*direction, bytes.as_slice())).collect()
}

fn lines(name: &str) -> Vec<String> {
    let all = recorded(name);
    all.iter().flat_map(|conversation| play(&script(conversation), &Options::default()).lines()).collect()
}

/// How often each line comes, in the order of their first appearance.
fn counted(name: &str) -> Vec<(String, usize)> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for line in lines(name) {
        match counts.iter_mut().find(|(known, _)| *known == line) {
            Some((_, count)) => *count += 1,
            None => counts.push((line, 1)),
        }
    }
    counts
}

fn assert_counted(name: &str, expected: &[(&str, usize)]) {
    let counts = counted(name);
    let counts: Vec<_> = counts.iter().map(|(line, count)| (line.as_str(), *count)).collect();
    assert_eq!(counts, expected, "{name}");
}

const NAMES: [&str; 16] = [
    "tls-openssl",
    "http2-h2load",
    "grpc-python",
    "redis-commands",
    "redis-resp3",
    "redis-pipeline",
    "redis-pubsub",
    "postgresql-simple",
    "postgresql-prepared",
    "postgresql-pipeline",
    "postgresql-pipeline-error",
    "postgresql-psycopg2",
    "dns-tcp",
    "mysql-text",
    "mysql-prepared",
    "mysql-compressed",
];

#[test]
fn nothing_recorded_is_left_over() {
    for name in NAMES {
        for conversation in recorded(name) {
            let got = play(&script(&conversation), &Options { details: true, ..Options::default() });
            assert_eq!(got.orphans, 0, "{name}");
            assert!(!got.requests.is_empty(), "{name}");
            let shown = format!("{:?}", got.requests);
            for secret in ["secret", "shop-password", "SCRAM"] {
                assert!(!shown.contains(secret), "{name}: {secret} in {shown}");
            }
        }
    }
}

#[test]
fn every_delivery_of_what_was_recorded_gives_the_same() {
    let options = Options::default();
    for name in NAMES {
        for conversation in recorded(name) {
            let script: &Script<'_> = &script(&conversation);
            let expected = play(script, &options).lines();
            for seed in 0..20 {
                assert_eq!(play_shuffled(script, seed, &options).lines(), expected, "{name} seed {seed}");
            }
            if conversation.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() < 2000 {
                assert_same_at_every_cut(script, &options);
                assert_gaps_invent_nothing(script, 3, &options);
            }
        }
    }
}

/// What the programs were told to do, by their own scripts.
#[test]
fn redis_clients() {
    assert_counted(
        "redis-pipeline",
        &[("CONFIG - - ok", 2), ("SET - - ok", 64), ("GET - - ok", 64), ("INCR - - ok", 64)],
    );
    let pubsub = ["SUBSCRIBE", "PING", "UNSUBSCRIBE", "GET"].map(|operation| (format!("{operation} - - ok"), 1));
    assert_eq!(counted("redis-pubsub"), [&pubsub[..], &[("PUBLISH - - ok".to_owned(), 3)]].concat());
    let resp3 = counted("redis-resp3");
    for (line, count) in [("HELLO - - ok", 6), ("GET - - ok", 3), ("SUBSCRIBE - - ok", 1), ("UNSUBSCRIBE - - ok", 1)] {
        assert!(resp3.contains(&(line.to_owned(), count)), "{line} is not {count} times in {resp3:?}");
    }
    let commands = counted("redis-commands");
    for (line, count) in
        [("INCR - ERR error", 1), ("NOSUCH - ERR error", 1), ("MULTI - - ok", 1), ("EXEC - - ok", 1), ("GET - - ok", 3)]
    {
        assert!(commands.contains(&(line.to_owned(), count)), "{line} is not {count} times in {commands:?}");
    }
}

#[test]
fn postgresql_clients() {
    assert_counted(
        "postgresql-simple",
        &[
            ("STARTUP - - ok", 1),
            ("CREATE CREATE TABLE items (id int, name text) - ok", 1),
            ("INSERT INSERT INTO items VALUES (?) - ok", 1),
            ("SELECT SELECT * FROM items WHERE name = ? - ok", 1),
            ("SELEC SELEC nonsense 42601 error", 1),
            ("SELECT SELECT ?/? 22012 error", 1),
            ("BEGIN BEGIN - ok", 1),
            ("UPDATE UPDATE items SET id = ? - ok", 1),
            ("ROLLBACK ROLLBACK - ok", 1),
            ("LISTEN LISTEN c - ok", 1),
            ("NOTIFY NOTIFY c, ? - ok", 1),
            ("COPY COPY items FROM STDIN - ok", 1),
            ("COPY COPY items TO STDOUT - ok", 1),
            ("SELECT SELECT generate_series(?) - ok", 1),
            (" - - ok", 1),
        ],
    );
    assert_counted(
        "postgresql-prepared",
        &[("STARTUP - - ok", 2), ("SELECT SELECT ? + ? - ok", 4), ("SELECT SELECT ? WHERE ? > ? - ok", 4)],
    );
    assert_counted(
        "postgresql-pipeline",
        &[("STARTUP - - ok", 2), ("SELECT SELECT ? - ok", 8), ("SELECT SELECT ? + ? - ok", 4)],
    );
    assert_counted(
        "postgresql-pipeline-error",
        &[
            ("STARTUP - - ok", 2),
            ("SELECT SELECT ? - ok", 1),
            ("SELECT SELECT ?/? 22012 error", 1),
            ("SELECT SELECT ? - unanswered", 2),
        ],
    );
    assert_counted(
        "postgresql-psycopg2",
        &[
            ("STARTUP - - ok", 1),
            ("BEGIN BEGIN - ok", 1),
            ("SELECT SELECT ?, ? - ok", 1),
            ("SELECT SELECT * FROM pg_type WHERE oid IN (?) - ok", 1),
            ("COMMIT COMMIT - ok", 1),
        ],
    );
}

#[test]
fn http2_clients() {
    assert_counted("http2-h2load", &[("GET /page 200 ok", 16), ("GET /none 404 ok", 8)]);
    assert_counted(
        "grpc-python",
        &[
            ("/shop.v1.Cart/Add - 0 ok", 12),
            ("/shop.v1.Cart/Add - 5 ok", 2),
            ("/shop.v1.Cart/Add - 13 error", 2),
            ("/shop.v1.Cart/Watch - 0 ok", 2),
        ],
    );
}

#[test]
fn dns_clients() {
    assert_counted(
        "dns-tcp",
        &[
            ("A www.shop.test 0 ok", 1),
            ("AAAA none.shop.test 3 ok", 1),
            ("TXT other.test 5 error", 1),
            ("AXFR shop.test 0 ok", 1),
            ("UPDATE shop.test 0 ok", 1),
            ("A host1.shop.test 0 ok", 1),
            ("A host2.shop.test 0 ok", 1),
            ("A host3.shop.test 0 ok", 1),
        ],
    );
}

#[test]
fn mysql_clients() {
    assert_counted(
        "mysql-text",
        &[
            ("LOGIN - - ok", 1),
            ("SET SET AUTOCOMMIT = ? - ok", 1),
            ("SELECT SELECT name FROM shop WHERE name = ? - ok", 1),
            ("UPDATE UPDATE shop SET id = ? WHERE id = ?; SELECT ?; SELECT ? - ok", 1),
            ("SELECT SELECT seq FROM seq_1_to_300 - ok", 1),
            ("SELEC SELEC 1064 error", 1),
            ("DO DO ?; SELECT missing FROM shop 1054 error", 1),
            ("PING - - ok", 1),
            ("COMMIT COMMIT - ok", 1),
            ("QUIT - - ok", 1),
        ],
    );
    for name in ["mysql-prepared", "mysql-compressed"] {
        let counts = counted(name);
        for (line, count) in [
            ("LOGIN - - ok", 1),
            ("LOGIN - 1045 error", 1),
            ("SELECT SELECT id, name FROM shop WHERE id < ? - ok", 10),
            ("INSERT INSERT INTO shop VALUES (?) - ok", 2),
            ("DELETE DELETE FROM shop WHERE id > ? - ok", 1),
            ("DO DO ?; SELEC 1064 error", 1),
            ("STMT_SEND_LONG_DATA - - ok", 2),
            ("LOAD LOAD DATA LOCAL INFILE ? INTO TABLE words - ok", 1),
            ("STATISTICS - - ok", 1),
        ] {
            assert!(counts.contains(&(line.to_owned(), count)), "{name}: {line} is not {count} times in {counts:?}");
        }
    }
}

pub(crate) fn attribute(request: &limpid_model::Request, name: &str) -> String {
    let found = request.attributes().iter().find(|(have, _)| *have == name);
    found.map_or("-".to_owned(), |(_, value)| match value {
        Attribute::Text(text) => text.to_string(),
        Attribute::Int(number) => number.to_string(),
        Attribute::Bool(flag) => flag.to_string(),
    })
}

/// In the order in which `record.py` makes them.
#[test]
fn tls_of_openssl() {
    let details = Options { details: true, ..Options::default() };
    let recorded = recorded("tls-openssl");
    let all: Vec<_> = recorded.iter().flat_map(|conversation| play(&script(conversation), &details).requests).collect();
    let told = |request: &limpid_model::Request| {
        let names = ["tls.protocol.version", "tls.cipher", "tls.next_protocol", "tls.resumed", "limpid.tls.alert"];
        names.map(|name| attribute(request, name)).join(" ")
    };
    let shown: Vec<_> = all.iter().map(|request| format!("{}: {}", line(request), told(request))).collect();
    let (elliptic, of_1_3) = ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384");
    let expected = [
        ("shop.test - ok", format!("1.2 {elliptic} h2 false -")),
        ("shop.test - ok", format!("1.2 {elliptic} - true -")),
        ("shop.test - ok", format!("1.3 {of_1_3} - false -")),
        ("shop.test - ok", format!("1.3 {of_1_3} - true -")),
        ("shop.test - ok", format!("1.3 {of_1_3} - false -")),
        ("shop.test 48 error", format!("1.2 {elliptic} - false unknown_ca")),
        ("shop.test 48 error", format!("1.3 {of_1_3} - false unknown_ca")),
        ("- 40 error", "- - - - handshake_failure".to_owned()),
        ("- 70 error", "- - - - protocol_version".to_owned()),
        ("shop.test - ok", format!("1.2 {elliptic} - false -")),
        ("shop.test 40 error", format!("1.2 {elliptic} - false handshake_failure")),
        ("shop.test - ok", format!("1.3 {of_1_3} - false -")),
    ];
    assert_eq!(shown, expected.map(|(line, told)| format!("handshake {line}: {told}")));
    let server = ["tls.server.subject", "tls.server.issuer"].map(|name| attribute(&all[0], name));
    assert_eq!(server, ["CN=shop.test, O=Shop\\, Ltd, C=DE", "CN=authority, O=Shop"]);
    assert_eq!(attribute(&all[9], "tls.client.subject"), "CN=client, O=Shop\\, Ltd, C=DE");
    assert_eq!(attribute(&all[2], "limpid.tls.offered_protocols"), "h2,http/1.1");
    assert_eq!(attribute(&all[4], "limpid.tls.hello_retry_request"), "true");
}

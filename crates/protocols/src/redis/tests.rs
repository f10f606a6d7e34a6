use crate::testing::*;
use crate::{Detection, Options};
use limpid_model::{Kind, Status, Unanswered};

fn lines(script: &Script<'_>) -> Vec<String> {
    play(script, &Options::default()).lines()
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

fn commands(list: &[&[&str]]) -> Vec<u8> {
    list.iter().flat_map(|words| command(words)).collect()
}

#[test]
fn pipelines_errors_and_values_of_all_types() {
    let asked = commands(&[
        &["set", "k", "v"],
        &["GET", "k"],
        &["INCR", "k"],
        &["HGETALL", "h"],
        &["GET", "none"],
        &["LRANGE", "l", "0", "-1"],
        &["GET", "moved"],
        &["EVAL", "x"],
        &["GET", "loading"],
        &["FT.SEARCH", "i"],
        &["FOO{BAR}"],
    ]);
    let said: &[u8] =
        b"+OK\r\n$1\r\nv\r\n-WRONGTYPE Operation\r\n%1\r\n+a\r\n*2\r\n:1\r\n,1.5\r\n$-1\r\n*-1\r\n-MOVED 1 h:1\r\n\
        |1\r\n+ttl\r\n:1\r\n!8\r\nERR a\r\nb\r\n-LOADING data\r\n*2\r\n*0\r\n_\r\n#t\r\n";
    let script = [(ToServer, asked.as_slice()), (ToClient, said)];
    let expected = [
        "SET - - ok",
        "GET - - ok",
        "INCR - WRONGTYPE error",
        "HGETALL - - ok",
        "GET - - ok",
        "LRANGE - - ok",
        "GET - MOVED ok",
        "EVAL - ERR error",
        "GET - LOADING ok",
        "FT.SEARCH - - ok",
        "_OTHER - - ok",
    ];
    assert_eq!(lines(&script), expected);
    assert_same_at_every_cut(&script, &Options::default());
    assert_prefixes_are_harmless(&script, &Options::default());
    for length in [1, 2, 5, 17] {
        assert_gaps_invent_nothing(&script, length, &Options::default());
    }
    for seed in 0..300 {
        assert_eq!(play_shuffled(&script, seed, &Options::default()).lines(), expected, "seed {seed}");
    }
}

#[test]
fn offsets_times_and_sizes() {
    let ping = command(&["PING"]);
    let got = play(
        &[(ToServer, &ping), (ToClient, b"+PONG\r\n"), (ToServer, &ping), (ToClient, b"+PO"), (ToClient, b"NG\r\n")],
        &Options::default(),
    );
    let [first, second] = got.requests.as_slice() else { panic!("{:?}", got.lines()) };
    assert_eq!((first.request_offset, first.request_end_offset, first.request_bytes()), (0, 14, 14));
    assert_eq!((second.request_offset, second.request_end_offset), (14, 28));
    assert_eq!((second.response_offset, second.response_end_offset, second.response_bytes()), (7, 14, 7));
    assert_eq!(second.start_ns, START_NS + 3 * STEP_NS);
    assert_eq!((second.first_byte_ns, second.end_ns), (Some(START_NS + 4 * STEP_NS), START_NS + 5 * STEP_NS));
}

#[test]
fn transactions_are_commands_like_others() {
    let asked = commands(&[&["MULTI"], &["SET", "a", "1"], &["BAD"], &["EXEC"], &["EXEC"]]);
    let said: &[u8] =
        b"+OK\r\n+QUEUED\r\n-ERR unknown\r\n-EXECABORT Transaction discarded\r\n*2\r\n+OK\r\n-ERR nested\r\n";
    assert_eq!(
        lines(&[(ToServer, &asked), (ToClient, said)]),
        ["MULTI - - ok", "SET - - ok", "BAD - ERR error", "EXEC - EXECABORT error", "EXEC - - ok"]
    );
}

#[test]
fn what_is_published_answers_nothing() {
    let subscribe = command(&["SUBSCRIBE", "a", "b"]);
    let confirm = |kind: &str, name: &str, channel: &str, count: usize| {
        format!("{kind}3\r\n${}\r\n{name}\r\n${}\r\n{channel}\r\n:{count}\r\n", name.len(), channel.len())
    };
    for kind in ["*", ">"] {
        let confirmed = confirm(kind, "subscribe", "a", 1) + &confirm(kind, "subscribe", "b", 2);
        let message = format!("{kind}3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n");
        let pmessage = format!("{kind}4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$5\r\nhello\r\n");
        let ping = command(&["PING"]);
        let unsubscribe = command(&["UNSUBSCRIBE"]);
        let gone = message.clone() + &confirm(kind, "unsubscribe", "a", 1) + &confirm(kind, "unsubscribe", "b", 0);
        let pong = pmessage + "*2\r\n$4\r\npong\r\n$0\r\n\r\n" + &message;
        let script = [
            (ToServer, subscribe.as_slice()),
            (ToClient, confirmed.as_bytes()),
            (ToClient, message.as_bytes()),
            (ToServer, &ping),
            (ToClient, pong.as_bytes()),
            (ToServer, &unsubscribe),
            (ToClient, gone.as_bytes()),
        ];
        let got = play(&script, &Options::default());
        assert_eq!(got.lines(), ["SUBSCRIBE - - ok", "PING - - ok", "UNSUBSCRIBE - - ok"]);
        assert_eq!(got.orphans, 0);
        assert_eq!(got.requests[0].response_end_offset, confirmed.len() as u64);
        assert_same_at_every_cut(&script, &Options::default());
    }
    let denied = lines(&[(ToServer, &subscribe), (ToClient, b"-NOPERM no\r\n")]);
    assert_eq!(denied, ["SUBSCRIBE - NOPERM error"]);
    // A list that happens to begin with the word.
    let list = command(&["LRANGE", "l", "0", "2"]);
    let reply = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n";
    assert_eq!(lines(&[(ToServer, &list), (ToClient, reply)]), ["LRANGE - - ok"]);
}

#[test]
fn a_list_that_looks_like_a_confirmation_is_a_reply() {
    let asked = commands(&[&["LRANGE", "l", "0", "2"], &["GET", "k"]]);
    let said = b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n-WRONGTYPE x\r\n";
    assert_eq!(lines(&[(ToServer, &asked), (ToClient, said)]), ["LRANGE - - ok", "GET - WRONGTYPE error"]);
}

#[test]
fn a_replica_that_was_joined_in_the_middle_is_answered_nothing() {
    let hints = crate::Hints { client_port: 40000, server_port: 6379, from_start: false };
    let mut player = Player::with(hints, &Options::default());
    player.offsets = [900, 70000];
    let (ack, set) = (command(&["REPLCONF", "ACK", "123"]), command(&["SET", "a", "1"]));
    for _ in 0..3 {
        player.say(ToServer, &ack);
        player.say(ToClient, &set);
        player.say(ToClient, &command(&["PING"]));
    }
    let got = player.close();
    assert_eq!((got.lines(), got.orphans), (vec!["REPLCONF - - ok".to_owned(); 3], 0));
}

#[test]
fn a_replica_that_is_refused_goes_on() {
    let (sync, get, refusal) = (command(&["SYNC"]), command(&["GET", "k"]), b"-NOAUTH Authentication required.\r\n");
    let script: [(_, &[u8]); 4] = [(ToServer, &sync), (ToClient, refusal), (ToServer, &get), (ToClient, refusal)];
    assert_eq!(lines(&script), ["SYNC - NOAUTH error", "GET - NOAUTH error"]);
}

#[test]
fn silenced_replies() {
    let asked = commands(&[
        &["CLIENT", "REPLY", "SKIP"],
        &["SET", "a", "1"],
        &["GET", "a"],
        &["CLIENT", "REPLY", "OFF"],
        &["SET", "b", "1"],
        &["CLIENT", "REPLY", "ON"],
        &["GET", "b"],
    ]);
    let got = play(&[(ToServer, &asked), (ToClient, b"-ERR a\r\n+OK\r\n$1\r\n1\r\n")], &Options::default());
    let silent: Vec<_> = got.requests.iter().filter(|r| r.kind == Kind::Oneway).map(|r| r.operation.as_str()).collect();
    assert_eq!(silent, ["CLIENT", "SET", "CLIENT", "SET"]);
    let answered: Vec<_> = got.requests.iter().filter(|r| r.kind == Kind::Request).map(line).collect();
    assert_eq!(answered, ["GET - ERR error", "CLIENT - - ok", "GET - - ok"]);
}

#[test]
fn inline_commands() {
    let got = lines(&[(ToServer, b"\r\nPING\r\nset a 1\nGET a\r\n"), (ToClient, b"+PONG\r\n+OK\r\n$1\r\n1\r\n")]);
    assert!(got.is_empty(), "a blank line is no beginning that can be believed: {got:?}");
    let script: [(_, &[u8]); 2] =
        [(ToServer, b"PING\r\n\r\nset a 1\nGET a\r\n"), (ToClient, b"+PONG\r\n+OK\r\n$1\r\n1\r\n")];
    assert_eq!(lines(&script), ["PING - - ok", "SET - - ok", "GET - - ok"]);
    assert_same_at_every_cut(&script, &Options::default());
}

#[test]
fn monitor_and_replication_are_streams() {
    let monitor = command(&["MONITOR"]);
    let feed = b"+OK\r\n+1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"\r\n+1339518083.2 [0 lua] \"get\"\r\n";
    let got = play(&[(ToServer, &monitor), (ToClient, feed)], &Options::default());
    assert_eq!((got.lines(), got.orphans), (vec!["MONITOR - - ok".to_owned()], 0));
    let psync = command(&["PSYNC", "?", "-1"]);
    let ack = command(&["REPLCONF", "ACK", "0"]);
    let file = b"$8\r\nREDIS\xff\x00\x01*1\r\n$4\r\nPING\r\n";
    let script: [(_, &[u8]); 5] = [
        (ToServer, &psync),
        (ToClient, b"\n\n+FULLRESYNC abc 0\r\n"),
        (ToClient, file),
        (ToServer, &ack),
        (ToClient, file),
    ];
    let got = play(&script, &Options::default());
    assert_eq!((got.lines(), got.orphans), (vec!["PSYNC - - ok".to_owned(), "REPLCONF - - ok".to_owned()], 0));
    assert_eq!(got.requests[1].kind, Kind::Oneway);
}

#[test]
fn credentials_and_keys_stay_out() {
    let asked = commands(&[
        &["HELLO", "3", "AUTH", "user", "S3CRET"],
        &["AUTH", "S3CRET"],
        &["SELECT", "7"],
        &["GET", "S3CRET"],
        &["S3CRET:x", "S3CRET"],
    ]);
    let said = b"%1\r\n+server\r\n+redis\r\n-ERR S3CRET\r\n+OK\r\n$6\r\nS3CRET\r\n-ERR unknown command 'S3CRET:x'\r\n";
    let got = play(&[(ToServer, &asked), (ToClient, said)], &Options { details: true, ..Options::default() });
    assert_eq!(got.requests.len(), 5);
    assert!(!format!("{:?}", got.requests).contains("S3CRET"), "{:?}", got.requests);
    assert_eq!((got.requests[0].kind, got.requests[1].kind), (Kind::Session, Kind::Session));
    assert!(format!("{:?}", got.requests[3].attributes()).contains("db.namespace"));
}

#[test]
fn long_values_are_skipped_captured_or_not() {
    let head = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n";
    let options = Options::default();
    let get = command(&["GET", "k"]);
    for captured in [0, 1, 64, 99_999] {
        let mut player = Player::new(&options);
        let lose = |player: &mut Player, direction, rest: usize| {
            player.lose(direction, rest as u64);
            let offset = player.offsets[direction as usize];
            player.connection.data_inside_call(direction, offset, player.now_ns, b"x\r\n", &mut player.sink);
            player.offsets[direction as usize] += 3;
        };
        player.say(ToServer, &[head.as_slice(), &vec![b'x'; captured]].concat());
        lose(&mut player, ToServer, 99_999 - captured);
        player.say(ToClient, b"+OK\r\n");
        player.say(ToServer, &get);
        player.say(ToClient, &[b"$100000\r\n".as_slice(), &vec![b'\n'; captured]].concat());
        lose(&mut player, ToClient, 99_999 - captured);
        let got = player.close();
        assert_eq!(got.lines(), ["SET - - ok", "GET - - ok"], "{captured}");
        assert_eq!(got.requests[0].request_bytes(), head.len() as u64 + 100_002);
        assert_eq!(got.requests[1].response_bytes(), 9 + 100_002);
    }
}

#[test]
fn a_million_elements_pass_in_pieces() {
    let mut player = Player::new(&Options::default());
    player.say(ToServer, &command(&["LRANGE", "l", "0", "-1"]));
    player.say(ToClient, b"*1000000\r\n");
    for _ in 0..10_000 {
        player.say(ToClient, b"$1\r\na\r\n".repeat(100).as_slice());
    }
    player.say(ToServer, &command(&["PING"]));
    player.say(ToClient, b"+PONG\r\n");
    assert_eq!(player.close().lines(), ["LRANGE - - ok", "PING - - ok"]);
}

#[test]
fn absurd_lengths_and_depths_are_refused() {
    let get = command(&["GET", "k"]);
    for said in [
        "*1\r\n".repeat(100),
        "$99999999999\r\n".into(),
        "*99999999999\r\n".into(),
        "$-2\r\n".into(),
        ":abc\r\n".into(),
        "$99999999999999999999999999\r\n".into(),
        "x".repeat(70_000),
    ] {
        let script: [(_, &[u8]); 4] =
            [(ToServer, &get), (ToClient, said.as_bytes()), (ToServer, &get), (ToClient, b"+OK\r\n")];
        let got = play(&script, &Options::default());
        assert!(got.requests.len() <= 2);
    }
}

#[test]
fn what_is_not_answered_says_why() {
    let get = command(&["GET", "k"]);
    let got = play(&[(ToServer, &get), (ToClient, b"+OK\r\n"), (ToServer, &get)], &Options::default());
    assert_eq!((got.requests[1].status, got.requests[1].unanswered), (Status::Unanswered, Some(Unanswered::Closed)));
    let mut player = Player::new(&Options::default());
    player.say(ToServer, &get);
    player.connection.expire(player.now_ns + 31_000_000_000, &mut player.sink);
    player.say(ToClient, b"+OK\r\n");
    let got = player.close();
    assert_eq!(got.requests[0].unanswered, Some(Unanswered::Timeout));
    assert!(got.requests[1].corrects && got.requests[1].status == Status::Ok);
}

#[test]
fn foreign_openings_are_not_redis() {
    let options = Options::default();
    for (asked, said) in [
        ("USER a\r\nPASS b\r\nSTAT\r\n", "+OK POP3 ready\r\n+OK\r\n+OK\r\n"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        ("get k\r\n", "VALUE k 0 1\r\na\r\nEND\r\n"),
        ("PING\r\n", "PONG\r\n"),
        ("CONNECT {}\r\nPING\r\n", "INFO {}\r\n+OK\r\nPONG\r\n"),
        ("* a list\r\n", "$ 5\r\n"),
        ("*2\r\n", "*2\r\n"),
    ] {
        let got = play(&[(ToServer, asked.as_bytes()), (ToClient, said.as_bytes())], &options);
        let invented: Vec<_> = got.requests.iter().filter(|request| request.protocol == "redis").collect();
        assert!(invented.is_empty(), "{asked:?}: {invented:?}");
    }
    for length in 0..14 {
        let more = super::detect(ToServer, &command(&["PING"])[..length.min(7)]);
        assert!(matches!(more, Detection::More | Detection::Yes), "{length}");
    }
}

#[test]
fn any_bytes_are_survived() {
    let words: [&[u8]; 20] = [
        b"*3\r\n",
        b"$3\r\nGET\r\n",
        b"$1\r\na\r\n",
        b"+OK\r\n",
        b"-ERR x\r\n",
        b">2\r\n",
        b"%1\r\n",
        b"|1\r\n",
        b"*-1\r\n",
        b"$-1\r\n",
        b"*0\r\n",
        b"$0\r\n\r\n",
        b"\r\n",
        b"$5\r\nab",
        b"!3\r\nERR\r\n",
        b"_\r\n",
        b"#t\r\n",
        b"\xff\x00",
        b"PING\r\n",
        b"*1\r\n",
    ];
    let mut random = Random(42);
    for _ in 0..5_000 {
        let mut player = Player::new(&Options::default());
        player.say(ToServer, &command(&["PING"]));
        player.say(ToClient, b"+PONG\r\n");
        for _ in 0..random.below(12) {
            let direction = if random.below(2) == 0 { ToServer } else { ToClient };
            match random.below(8) {
                0 => player.lose(direction, 1 + random.below(20) as u64),
                _ => player.say(direction, words[random.below(words.len())]),
            }
        }
        player.close();
    }
}

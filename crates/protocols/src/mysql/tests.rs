use super::packets::status;
use super::*;
use crate::Hints;
use crate::testing::{
    Player, Random, ToClient, ToServer, assert_gaps_invent_nothing, assert_prefixes_are_harmless,
    assert_same_at_every_cut, play, play_shuffled,
};

type Part = (Direction, Vec<u8>);

const EOF_41: u64 = capability::PROTOCOL_41 | capability::SECURE_CONNECTION | capability::MYSQL;
const NO_EOF: u64 = EOF_41 | capability::DEPRECATE_EOF;
const AUTOCOMMIT: u16 = 2;

fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_le_bytes();
    [&length[..3], &[sequence], body].concat()
}

/// Packets one behind the other, numbered from `first` on.
fn packets(first: u8, bodies: &[Vec<u8>]) -> Vec<u8> {
    let number = |index: usize| first.wrapping_add(index as u8);
    bodies.iter().enumerate().flat_map(|(index, body)| packet(number(index), body)).collect()
}

fn answer(bodies: &[Vec<u8>]) -> Part {
    (ToClient, packets(1, bodies))
}

fn ask(code: u8, arguments: &[u8]) -> Part {
    (ToServer, packet(0, &[&[code], arguments].concat()))
}

fn query(statement: &str) -> Part {
    ask(commands::QUERY, statement.as_bytes())
}

fn ok(flags: u16) -> Vec<u8> {
    [&[0, 1, 0][..], &flags.to_le_bytes(), &[0, 0]].concat()
}

fn eof(flags: u16) -> Vec<u8> {
    [&[0xfe, 0, 0][..], &flags.to_le_bytes()].concat()
}

/// OK at the end of rows, where EOF is deprecated.
fn end(flags: u16) -> Vec<u8> {
    [&[0xfe, 0, 0][..], &flags.to_le_bytes(), &[0, 0]].concat()
}

fn error(code: u16) -> Vec<u8> {
    [&[0xff][..], &code.to_le_bytes(), b"#42S02what S3CRET says"].concat()
}

fn column() -> Vec<u8> {
    b"\x03def\x04shop\x05items\x05items\x02id\x02id\x0c\x3f\0\x0b\0\0\0\x03\x03\x42\0\0\0".to_vec()
}

fn row(text: &[u8]) -> Vec<u8> {
    [&[text.len() as u8], text].concat()
}

fn result(rows: &[Vec<u8>], flags: u16) -> Vec<Vec<u8>> {
    [&[vec![1], column(), eof(AUTOCOMMIT)][..], rows, &[eof(flags)]].concat()
}

fn greeting(version: &str, capabilities: u64) -> Part {
    let (low, high) = (capabilities as u16, (capabilities >> 16) as u16);
    let body = [
        &[10][..],
        version.as_bytes(),
        b"\0\x07\0\0\0saltsalt\0",
        &low.to_le_bytes(),
        b"\x2d\x02\0",
        &high.to_le_bytes(),
        b"\x15\0\0\0\0\0\0\0\0\0\0saltsaltsalt\0mysql_native_password\0",
    ];
    (ToClient, packet(0, &body.concat()))
}

fn login(capabilities: u64, mariadb: u32) -> Part {
    let capabilities = capabilities | capability::CONNECT_WITH_DB;
    let body = [
        &(capabilities as u32).to_le_bytes()[..],
        &[0, 0, 0, 1, 45],
        &[0; 19],
        &mariadb.to_le_bytes(),
        b"bob\0\x08S3CRETpwshop\0mysql_native_password\0",
    ];
    (ToServer, packet(1, &body.concat()))
}

/// A login as it usually is.
fn opening(capabilities: u64) -> Vec<Part> {
    let server = capabilities | capability::CONNECT_WITH_DB | capability::PROTOCOL_41;
    vec![
        greeting("8.0.36", server),
        login(capabilities, 0),
        (ToClient, packet(2, b"\xfecaching_sha2_password\0saltsaltsaltsaltsalt\0")),
        (ToServer, packet(3, b"S3CRETS3CRETS3CRETS3CRETS3CRETxx")),
        (ToClient, [packet(4, b"\x01\x03"), packet(5, &ok(AUTOCOMMIT))].concat()),
    ]
}

fn after_login(capabilities: u64, parts: &[Part]) -> Vec<Part> {
    [&opening(capabilities)[..], parts].concat()
}

fn script(parts: &[Part]) -> Vec<(Direction, &[u8])> {
    parts.iter().map(|(direction, bytes)| (*direction, bytes.as_slice())).collect()
}

fn lines(parts: &[Part]) -> Vec<String> {
    play(&script(parts), &Options::default()).lines()
}

/// The lines behind the login's.
fn check(capabilities: u64, parts: &[Part], expected: &[&str]) {
    let parts = after_login(capabilities, parts);
    let script = script(&parts);
    for options in [Options::default(), Options { details: true, ..Options::default() }] {
        let got = play(&script, &options);
        assert_eq!(got.lines()[0], "LOGIN - - ok");
        assert_eq!(got.lines()[1..], *expected);
        assert_eq!(got.orphans, 0);
        let shown = format!("{:?}", got.requests);
        assert!(!shown.contains("S3CRET") && !shown.contains("bob"), "{shown}");
    }
    assert_same_at_every_cut(&script, &Options::default());
    assert_prefixes_are_harmless(&script, &Options::default());
    for seed in 0..30 {
        assert_eq!(play_shuffled(&script, seed, &Options::default()).lines()[1..], *expected, "seed {seed}");
    }
    for length in [1, 4, 30] {
        assert_gaps_invent_nothing(&script, length, &Options::default());
    }
}

#[test]
fn text_results_with_and_without_eof() {
    let rows = [row(b"S3CRET"), vec![0xfb], vec![0, 0]];
    let deprecated = [&[vec![1], column()][..], &rows, &[end(AUTOCOMMIT)]].concat();
    let without_rows = [vec![1], column(), end(AUTOCOMMIT)];
    let asked = [query("select * from items where a = 'S3CRET' /* why */"), query("SELECT 1 FROM none"), query("DO 1")];
    let expected = ["SELECT select * from items where a = ? - ok", "SELECT SELECT ? FROM none - ok", "DO DO ? - ok"];
    for (capabilities, first, second) in
        [(EOF_41, result(&rows, AUTOCOMMIT), result(&[], AUTOCOMMIT)), (NO_EOF, deprecated, without_rows.to_vec())]
    {
        let [one, two, three] = asked.clone();
        let parts = [one, answer(&first), two, answer(&second), three, answer(&[ok(AUTOCOMMIT)])];
        check(capabilities, &parts, &expected);
        let all = after_login(capabilities, &parts);
        let got = play(&script(&all), &Options { details: true, ..Options::default() });
        let shown = format!("{:?}", got.requests[1]);
        assert!(shown.contains("(\"db.response.returned_rows\", Int(3))"), "{shown}");
        assert!(shown.contains("db.namespace") && shown.contains("shop"), "{shown}");
        assert_eq!(got.requests[0].kind, Kind::Session);
    }
}

#[test]
fn errors_in_each_place_of_an_answer() {
    let parts = [
        query("SELECT * FROM nowhere"),
        answer(&[error(1146)]),
        query("SELECT sleep(9) FROM items"),
        answer(&[vec![1], column(), eof(AUTOCOMMIT), row(b"1"), error(1317)]),
        ask(0x0e, b""),
        answer(&[ok(AUTOCOMMIT)]),
    ];
    let expected =
        ["SELECT SELECT * FROM nowhere 1146 error", "SELECT SELECT sleep(?) FROM items 1317 error", "PING - - ok"];
    check(EOF_41, &parts, &expected);
}

#[test]
fn several_statements_and_results_are_one_request() {
    let more = AUTOCOMMIT | status::MORE_RESULTS;
    let several = [result(&[row(b"1")], more), vec![ok(more)], result(&[row(b"2"), row(b"3")], AUTOCOMMIT)].concat();
    let parts = [
        query("select 1; insert into t values (2); select 3"),
        answer(&several),
        query("insert into t values (1); selec"),
        answer(&[ok(more), error(1064)]),
        query("call p(1)"),
        answer(&[result(&[row(b"1")], more), vec![ok(AUTOCOMMIT)]].concat()),
    ];
    check(
        EOF_41,
        &parts,
        &[
            "SELECT select ?; insert into t values (?); select ? - ok",
            "INSERT insert into t values (?); selec 1064 error",
            "CALL call p(?) - ok",
        ],
    );
}

fn prepared_as(number: u32, columns: u16, parameters: u16) -> Vec<u8> {
    let (columns, parameters) = (columns.to_le_bytes(), parameters.to_le_bytes());
    [&[0][..], &number.to_le_bytes(), &columns, &parameters, &[0, 0, 0]].concat()
}

fn execute(number: u32) -> Part {
    ask(
        commands::STMT_EXECUTE,
        &[&number.to_le_bytes()[..], &[0, 1, 0, 0, 0, 0, 1, 8, 0, 5, 0, 0, 0, 0, 0, 0, 0]].concat(),
    )
}

#[test]
fn prepared_statements() {
    let number = 7u32.to_le_bytes();
    let cursor = AUTOCOMMIT | status::CURSOR_EXISTS;
    let binary_row = vec![0, 0, 5, 0, 0, 0];
    let rows = |flags| {
        [&[vec![1], column(), eof(AUTOCOMMIT)][..], &[binary_row.clone(), binary_row.clone(), eof(flags)]].concat()
    };
    let parts = [
        ask(commands::STMT_PREPARE, b"SELECT id FROM items WHERE a = ? AND b = 'S3CRET'"),
        answer(&[prepared_as(7, 1, 2), column(), column(), eof(AUTOCOMMIT), column(), eof(AUTOCOMMIT)]),
        execute(7),
        answer(&rows(AUTOCOMMIT)),
        ask(0x18, &[&number[..], b"\0\0S3CRET"].concat()),
        ask(0x1a, &number),
        answer(&[ok(AUTOCOMMIT)]),
        execute(7),
        answer(&[vec![1], column(), eof(cursor)]),
        ask(commands::STMT_FETCH, &[number, [2, 0, 0, 0]].concat()),
        answer(&[binary_row.clone(), eof(cursor)]),
        execute(9),
        answer(&[error(1243)]),
        ask(commands::STMT_CLOSE, &number),
        ask(commands::STMT_PREPARE, b"SELEC"),
        answer(&[error(1064)]),
        ask(commands::STMT_PREPARE, b"DO 1"),
        answer(&[prepared_as(8, 0, 0)]),
        execute(8),
        answer(&[ok(AUTOCOMMIT)]),
        ask(commands::QUIT, b""),
    ];
    let expected = [
        "STMT_PREPARE SELECT id FROM items WHERE a = ? AND b = ? - ok",
        "SELECT SELECT id FROM items WHERE a = ? AND b = ? - ok",
        "STMT_SEND_LONG_DATA - - ok",
        "STMT_RESET - - ok",
        "SELECT SELECT id FROM items WHERE a = ? AND b = ? - ok",
        "STMT_FETCH SELECT id FROM items WHERE a = ? AND b = ? - ok",
        "EXECUTE - 1243 error",
        "STMT_CLOSE - - ok",
        "STMT_PREPARE SELEC 1064 error",
        "STMT_PREPARE DO ? - ok",
        "DO DO ? - ok",
        "QUIT - - ok",
    ];
    check(EOF_41, &parts, &expected);
    let all = after_login(EOF_41, &parts);
    let got = play(&script(&all), &Options::default());
    let oneway: Vec<_> =
        got.requests.iter().filter(|request| request.kind == Kind::Oneway).map(|r| r.operation.as_str()).collect();
    assert_eq!(oneway, ["STMT_SEND_LONG_DATA", "STMT_CLOSE", "QUIT"]);
}

#[test]
fn prepared_statements_without_eof() {
    let parts = [
        ask(commands::STMT_PREPARE, b"SELECT ?"),
        answer(&[prepared_as(1, 1, 1), column(), column()]),
        execute(1),
        answer(&[vec![1], column(), vec![0, 0, 1], end(AUTOCOMMIT)]),
        ask(commands::STMT_PREPARE, b"DO ?"),
        answer(&[prepared_as(2, 0, 1), column()]),
        execute(2),
        answer(&[ok(AUTOCOMMIT)]),
    ];
    check(
        NO_EOF,
        &parts,
        &["STMT_PREPARE SELECT ? - ok", "SELECT SELECT ? - ok", "STMT_PREPARE DO ? - ok", "DO DO ? - ok"],
    );
}

/// MariaDB's connectors prepare and execute without waiting, and let the server leave out columns that they know.
#[test]
fn mariadb_pipelines_bulk_and_cached_columns() {
    let bulk = ask(commands::STMT_BULK_EXECUTE, b"\x03\0\0\0\x80\0\x08\0\0\x01\0\0\0\0\0\0\0");
    let parts = [
        (
            ToServer,
            [
                ask(commands::STMT_PREPARE, b"INSERT INTO t VALUES (?)").1,
                execute(LAST_PREPARED).1,
                query("SELECT 1").1,
                ask(commands::STMT_PREPARE, b"SELEC").1,
                execute(LAST_PREPARED).1,
            ]
            .concat(),
        ),
        answer(&[prepared_as(3, 0, 1), column()]),
        answer(&[ok(AUTOCOMMIT)]),
        (
            ToClient,
            [answer(&[vec![1, 0], row(b"1"), end(AUTOCOMMIT)]).1, answer(&[error(1064)]).1, answer(&[error(1243)]).1]
                .concat(),
        ),
        bulk,
        answer(&[ok(AUTOCOMMIT)]),
        query("ALTER TABLE t ENGINE = InnoDB"),
        answer(&[b"\xff\xff\xff\x01\x01\x02\0\0\0\x05stage".to_vec(), ok(AUTOCOMMIT)]),
    ];
    let opening =
        [greeting("5.5.5-10.11.6-MariaDB", NO_EOF & !capability::MYSQL), login(NO_EOF & !capability::MYSQL, 0x1f)];
    let parts = [&opening[..], &[(ToClient, packet(2, &ok(AUTOCOMMIT)))], &parts].concat();
    let script = script(&parts);
    let got = play(&script, &Options { details: true, ..Options::default() });
    assert_eq!(
        got.lines(),
        [
            "LOGIN - - ok",
            "STMT_PREPARE INSERT INTO t VALUES (?) - ok",
            "INSERT INSERT INTO t VALUES (?) - ok",
            "SELECT SELECT ? - ok",
            "STMT_PREPARE SELEC 1064 error",
            "SELEC SELEC 1243 error",
            "INSERT INSERT INTO t VALUES (?) - ok",
            "ALTER ALTER TABLE t ENGINE = InnoDB - ok",
        ]
    );
    assert!(got.requests.iter().all(|request| format!("{request:?}").contains("mariadb")));
    let mut out = Vec::new();
    crate::conventions::attributes(&got.requests[1], &mut out);
    let systems: Vec<_> = out.iter().filter(|(name, _)| *name == "db.system.name").collect();
    assert_eq!(systems, [&("db.system.name", Attribute::Text("mariadb".into()))]);
    assert_same_at_every_cut(&script, &Options::default());
    assert_prefixes_are_harmless(&script, &Options::default());
}

#[test]
fn files_statistics_and_other_commands() {
    let parts = [
        query("LOAD DATA LOCAL INFILE '/S3CRET' INTO TABLE t"),
        answer(&[b"\xfb/S3CRET".to_vec()]),
        (ToServer, [packet(2, b"1\tS3CRET\n"), packet(3, b"")].concat()),
        (ToClient, packet(4, &ok(AUTOCOMMIT))),
        ask(commands::STATISTICS, b""),
        answer(&[b"Uptime: 12  Threads: 1".to_vec()]),
        ask(0x04, b"items\0"),
        answer(&[column(), column(), eof(AUTOCOMMIT)]),
        ask(commands::INIT_DB, b"other"),
        answer(&[ok(AUTOCOMMIT)]),
        ask(0x1b, &[0, 0]),
        answer(&[eof(AUTOCOMMIT)]),
        ask(commands::RESET_CONNECTION, b""),
        answer(&[ok(AUTOCOMMIT)]),
        ask(commands::CHANGE_USER, b"bob\0\x08S3CRETpwshop\0"),
        answer(&[b"\xfemysql_native_password\0saltsaltsaltsaltsalt\0".to_vec()]),
        (ToServer, packet(2, b"S3CRETS3CRETS3CRETS3")),
        (ToClient, packet(3, &ok(AUTOCOMMIT))),
        ask(0x0d, b""),
        answer(&[eof(AUTOCOMMIT)]),
    ];
    let expected = [
        "LOAD LOAD DATA LOCAL INFILE ? INTO TABLE t - ok",
        "STATISTICS - - ok",
        "FIELD_LIST - - ok",
        "INIT_DB - - ok",
        "SET_OPTION - - ok",
        "RESET_CONNECTION - - ok",
        "CHANGE_USER - - ok",
        "DEBUG - - ok",
    ];
    check(EOF_41, &parts, &expected);
    let all = after_login(EOF_41, &parts);
    let got = play(&script(&all), &Options { details: true, ..Options::default() });
    let of = |operation: &str| format!("{:?}", got.requests.iter().find(|request| request.operation == operation));
    assert!(of("INIT_DB").contains("\"shop\"") && of("SET_OPTION").contains("\"other\""));
}

#[test]
fn logins_that_fail_and_servers_that_refuse() {
    let denied = [greeting("8.0.36", EOF_41), login(EOF_41, 0), (ToClient, packet(2, &error(1045)))];
    assert_eq!(lines(&denied), ["LOGIN - 1045 error"]);
    let full = [(ToClient, packet(0, b"\xff\x10\x04Too many connections"))];
    assert_eq!(lines(&full), ["LOGIN - 1040 error"]);
    let asks_for_tls = packet(1, &[&(EOF_41 | capability::SSL).to_le_bytes()[..4], &[0; 28]].concat());
    let encrypted = [
        greeting("8.0.36", EOF_41 | capability::SSL),
        (ToServer, asks_for_tls),
        (ToServer, b"\x16\x03\x01\0\x05hello".to_vec()),
    ];
    assert!(lines(&encrypted).is_empty());
    let zstd = [greeting("8.0.36", !0), login(EOF_41 | capability::ZSTD_COMPRESSION, 0), (ToClient, packet(2, &ok(2)))];
    assert!(lines(&zstd).is_empty());
    let killed = after_login(EOF_41, &[query("SELECT 1"), answer(&[error(1927)]), (ToClient, packet(0, &error(4031)))]);
    let got = play(&script(&killed), &Options::default());
    assert_eq!((&got.lines()[1..], got.orphans), (&["SELECT SELECT ? 1927 error".to_owned()][..], 0));
}

#[test]
fn replication_is_answered_when_its_stream_begins() {
    let parts = after_login(
        EOF_41,
        &[
            ask(0x15, &[0; 17]),
            answer(&[ok(AUTOCOMMIT)]),
            ask(0x12, b"\x04\0\0\0\0\0\x01\0\0\0binlog.000001"),
            answer(&[b"\0event".to_vec(), b"\0event".to_vec()]),
            ask(0xef, b"acknowledged"),
            (ToClient, packet(3, &error(1236))),
        ],
    );
    let got = play(&script(&parts), &Options::default());
    assert_eq!(
        (&got.lines()[1..], got.orphans),
        (&["REGISTER_SLAVE - - ok", "BINLOG_DUMP - - ok"].map(str::to_owned)[..], 0)
    );
}

#[test]
fn packets_of_16_mib_go_on_in_the_next() {
    let long = MAX_LENGTH as usize;
    let statement = [&b"\x03INSERT INTO t VALUES ('"[..], &vec![b'x'; long - 24]].concat();
    let mut player = Player::new(&Options { details: true, ..Options::default() });
    player.play(&script(&opening(EOF_41)));
    for (direction, bytes) in [
        (ToServer, [packet(0, &statement), packet(1, b"more S3CRET')")].concat()),
        (ToClient, packet(2, &ok(AUTOCOMMIT))),
        query("SELECT b FROM t"),
        (
            ToClient,
            packets(
                1,
                &[vec![1], column(), eof(AUTOCOMMIT), vec![b'\xfd'; long], b"\xfe\0\0\0\0".to_vec(), eof(AUTOCOMMIT)],
            ),
        ),
        query("SELECT 1"),
        answer(&result(&[row(b"1")], AUTOCOMMIT)),
    ] {
        bytes.chunks(100_000).for_each(|piece| player.say(direction, piece));
    }
    let got = player.close();
    let expected = ["INSERT INSERT INTO t VALUES (?… - ok", "SELECT SELECT b FROM t - ok", "SELECT SELECT ? - ok"];
    assert_eq!(got.lines()[1..], expected);
    assert_eq!(got.requests[1].request_bytes(), long as u64 + 4 + 4 + 13);
    assert!(format!("{:?}", got.requests[2]).contains("Int(1)"));
}

#[test]
fn attributes_in_front_of_a_statement() {
    let parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let attributes = [&b"\x01\x01\0\x01\xfe\0\x0btraceparent\x37"[..], parent, b"SELECT 2"].concat();
    let parts = after_login(
        EOF_41 | capability::QUERY_ATTRIBUTES,
        &[
            ask(commands::QUERY, b"\0\x01SELECT 'S3CRET'"),
            answer(&result(&[row(b"1")], AUTOCOMMIT)),
            ask(commands::QUERY, &attributes),
            answer(&result(&[row(b"1")], AUTOCOMMIT)),
        ],
    );
    let got = play(&script(&parts), &Options::default());
    assert_eq!(got.lines()[1..], ["SELECT SELECT ? - ok", "SELECT SELECT ? - ok"]);
    assert!(got.requests[1].trace().is_none() && got.requests[2].trace().is_some_and(|trace| trace.sampled));
}

#[test]
fn a_trace_context_in_a_comment_is_adopted() {
    let comment = "/*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/";
    let parts = after_login(EOF_41, &[query(&format!("SELECT 1 {comment}")), answer(&result(&[], AUTOCOMMIT))]);
    assert!(play(&script(&parts), &Options::default()).requests[1].trace().is_some());
}

fn packed(sequence: u8, content: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let number = |number: usize| (number as u32).to_le_bytes();
    if content.len() < 50 {
        return [&number(content.len())[..3], &[sequence, 0, 0, 0], content].concat();
    }
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).expect("it is written to memory");
    let bytes = encoder.finish().expect("it is written to memory");
    [&number(bytes.len())[..3], &[sequence], &number(content.len())[..3], &bytes].concat()
}

fn compressed_conversation() -> Vec<Part> {
    let long = format!("SELECT '{}' FROM items", "S3CRET ".repeat(30));
    let rows: Vec<_> = (0..3000).map(|number: u32| row(format!("row number {number}").as_bytes())).collect();
    let answered = packets(1, &result(&rows, AUTOCOMMIT));
    // The answer's packets are spread over packed ones without regard to where they end.
    let (one, two) = answered.split_at(20_001);
    vec![
        (ToServer, packed(0, &query(&long).1)),
        (ToClient, [packed(1, one), packed(2, two)].concat()),
        (ToServer, packed(0, &ask(0x0e, b"").1)),
        (ToClient, packed(1, &answer(&[ok(AUTOCOMMIT)]).1)),
        (ToServer, packed(0, &query("SELECT * FROM nowhere WHERE a_long_name_makes = 'it worth to pack'").1)),
        (ToClient, packed(1, &answer(&[error(1146)]).1)),
    ]
}

#[test]
fn compressed_packets() {
    let parts = after_login(EOF_41 | capability::COMPRESS, &compressed_conversation());
    let script = script(&parts);
    let got = play(&script, &Options { details: true, ..Options::default() });
    assert_eq!(
        got.lines()[1..],
        [
            "SELECT SELECT ? FROM items - ok",
            "PING - - ok",
            "SELECT SELECT * FROM nowhere WHERE a_long_name_makes = ? 1146 error",
        ]
    );
    assert!(format!("{:?}", got.requests[1]).contains("Int(3000)"));
    assert_eq!(got.orphans, 0);
    let ends: Vec<_> = got.requests.iter().map(|request| request.response_end_offset).collect();
    let said: usize = parts.iter().filter(|(direction, _)| *direction == ToClient).map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(ends.last(), Some(&(said as u64)));
    assert_prefixes_are_harmless(&script, &Options::default());
    assert_gaps_invent_nothing(&script, 3, &Options::default());
    for seed in 0..30 {
        assert_eq!(play_shuffled(&script, seed, &Options::default()).lines(), got.lines(), "seed {seed}");
    }
    let one_byte: Vec<_> =
        script.iter().flat_map(|(direction, bytes)| bytes.chunks(1).map(|byte| (*direction, byte))).collect();
    assert_eq!(play(&one_byte, &Options::default()).lines(), got.lines());
}

#[test]
fn a_packed_bomb_is_damage() {
    let pings = packet(0, &[0x0e]).repeat(100_000);
    let parts = after_login(EOF_41 | capability::COMPRESS, &[(ToServer, packed(0, &pings))]);
    assert!(play(&script(&parts), &Options::default()).requests.len() < 100);
    let mut lies = packed(0, &query(&"x".repeat(100_000)).1);
    lies[4] = 60;
    let parts = after_login(EOF_41 | capability::COMPRESS, &[(ToServer, lies)]);
    assert!(play(&script(&parts), &Options::default()).requests.len() < 3);
}

fn joined(parts: &[Part], port: u16) -> crate::testing::Collected {
    let hints = Hints { client_port: 40000, server_port: port, from_start: false };
    let mut player = Player::with(hints, &Options::default());
    player.offsets = [5000, 70000];
    player.play(&script(parts));
    player.close()
}

#[test]
fn joined_in_the_middle() {
    let rest = packets(9, &[row(b"the rest of rows"), eof(AUTOCOMMIT)]);
    let text = [query("SELECT id FROM items"), answer(&result(&[row(b"1")], AUTOCOMMIT))];
    let deprecated = [query("SELECT 2"), answer(&[vec![1], column(), row(b"1"), end(AUTOCOMMIT)])];
    let prepared = [
        execute(4),
        answer(&[ok(AUTOCOMMIT)]),
        ask(commands::STMT_PREPARE, b"DO ?"),
        answer(&[prepared_as(5, 0, 1), column(), eof(AUTOCOMMIT)]),
        execute(5),
        answer(&[ok(AUTOCOMMIT)]),
    ];
    let parts = [&[(ToClient, rest)][..], &text, &prepared].concat();
    let got = joined(&parts, 3306);
    let expected = ["SELECT SELECT id FROM items - ok", "EXECUTE - - ok", "STMT_PREPARE DO ? - ok", "DO DO ? - ok"];
    assert_eq!((got.lines(), got.orphans), (expected.map(str::to_owned).to_vec(), 0));
    assert_eq!(joined(&deprecated, 9999).lines(), ["SELECT SELECT ? - ok"]);
    let pings: Vec<_> = (0..3).flat_map(|_| [ask(0x0e, b""), answer(&[ok(AUTOCOMMIT)])]).collect();
    assert_eq!(joined(&pings, 3306).lines().len(), 3);
    assert!(joined(&pings, 9999).lines().is_empty(), "a likeness proves nothing");
    let packed_later = compressed_conversation();
    assert_eq!(joined(&packed_later[2..], 3306).lines().len(), 2);
    let late_login =
        [login(EOF_41, 0), (ToClient, packet(2, &ok(AUTOCOMMIT))), query("DO 1"), answer(&[ok(AUTOCOMMIT)])];
    assert_eq!(joined(&late_login, 3306).lines(), ["LOGIN - - ok", "DO DO ? - ok"]);
}

#[test]
fn rows_that_were_lost_end_where_their_end_is_seen() {
    let mut player = Player::new(&Options::default());
    player.play(&script(&opening(EOF_41)));
    player.play(&script(&[query("SELECT * FROM big")]));
    player.say(ToClient, &packets(1, &[vec![1], column(), eof(AUTOCOMMIT), row(&[b'x'; 100])]));
    player.lose(ToClient, 16_384);
    player.say(ToClient, &packets(1, &[row(&[b'y'; 100]), row(&[b'z'; 100])])[7..]);
    player.say(ToClient, &packets(90, &[row(&[b'z'; 100]), eof(AUTOCOMMIT)])[9..]);
    player.play(&script(&[query("DO 1"), answer(&[ok(AUTOCOMMIT)])]));
    let got = player.close();
    assert_eq!(
        (got.lines()[1..].to_vec(), got.orphans),
        (vec!["SELECT SELECT * FROM big - ok".to_owned(), "DO DO ? - ok".to_owned()], 0)
    );
}

#[test]
fn an_answer_that_was_lost_is_not_the_next_ones() {
    let mut player = Player::new(&Options::default());
    player.play(&script(&opening(EOF_41)));
    player.play(&script(&[query("SELECT * FROM big")]));
    player.say(ToClient, &packets(1, &[vec![1], column(), eof(AUTOCOMMIT), row(&[b'x'; 100])]));
    player.lose(ToClient, 16_384);
    player.play(&script(&[query("DO 1"), answer(&[error(1064)]), query("DO 2"), answer(&[ok(AUTOCOMMIT)])]));
    let got = player.close();
    assert_eq!(got.lines()[1..], ["SELECT SELECT * FROM big - unanswered", "DO DO ? 1064 error", "DO DO ? - ok"]);
    assert_eq!(got.requests[1].unanswered, Some(Unanswered::Gap));
}

#[test]
fn a_server_without_backslash_escapes_hides_no_less() {
    let flags = AUTOCOMMIT | status::NO_BACKSLASH_ESCAPES;
    let set = [query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'"), answer(&[ok(flags)])];
    let asked = [query("SELECT 'a\\', S3CRET_COLUMN, 'S3CRET'"), answer(&result(&[], flags))];
    let parts = after_login(EOF_41, &[set, asked].concat());
    assert_eq!(lines(&parts)[2], "SELECT SELECT ?, S3CRET_COLUMN, ? - ok");
}

#[test]
fn any_packets_are_survived() {
    let mut random = Random(99);
    let client: Vec<Vec<u8>> = [
        query("SELECT 1"),
        query("USE `other`"),
        query(""),
        ask(commands::STMT_PREPARE, b"SELECT ?"),
        execute(1),
        execute(LAST_PREPARED),
        ask(commands::STMT_CLOSE, b"\x01\0\0\0"),
        ask(commands::STMT_FETCH, b"\x01\0\0\0\x01\0\0\0"),
        ask(0x12, b"\x04\0\0\0\0\0\x01\0\0\0b"),
        ask(commands::CHANGE_USER, b"bob\0"),
        ask(0x0e, b""),
        (ToServer, packet(1, b"auth")),
        (ToServer, packet(3, b"")),
        (ToServer, packet(0, b"")),
        (ToServer, vec![0xff; 9]),
        login(EOF_41, 0),
    ]
    .into_iter()
    .chain(compressed_conversation())
    .map(|(_, bytes)| bytes)
    .collect();
    let bodies = [
        ok(AUTOCOMMIT),
        ok(AUTOCOMMIT | status::MORE_RESULTS),
        eof(AUTOCOMMIT),
        end(AUTOCOMMIT | status::MORE_RESULTS),
        error(1064),
        vec![1],
        vec![0xfc, 0xff, 0xff],
        vec![0xfe; 9],
        column(),
        row(b"1"),
        prepared_as(1, 1, 1),
        b"\xfb/file".to_vec(),
        vec![],
        vec![0],
        vec![0xff],
    ];
    for _ in 0..5_000 {
        let capabilities =
            [EOF_41, NO_EOF, EOF_41 | capability::COMPRESS, !capability::ZSTD_COMPRESSION][random.below(4)];
        let mut player = Player::new(&Options { details: true, raw: random.below(2) == 0, ..Options::default() });
        player.play(&script(&opening(capabilities)));
        for _ in 0..random.below(16) {
            let (direction, bytes) = if random.below(2) == 0 {
                (ToServer, client[random.below(client.len())].clone())
            } else {
                let bodies: Vec<_> =
                    (0..=random.below(4)).map(|_| bodies[random.below(bodies.len())].clone()).collect();
                (ToClient, packets(random.below(4) as u8, &bodies))
            };
            match random.below(8) {
                0 => player.lose(direction, 1 + random.below(20) as u64),
                1 => player.say(direction, &bytes[..random.below(bytes.len())]),
                _ => player.say(direction, &bytes),
            }
        }
        player.close();
    }
}

use crate::testing::*;
use crate::{Connection, Hints, Options};
use limpid_model::{Kind, Unanswered};

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn query(statement: &str) -> Vec<u8> {
    message(b'Q', format!("{statement}\0").as_bytes())
}

fn parse(name: &str, statement: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{statement}\0\0\0").as_bytes())
}

fn bind(portal: &str, name: &str) -> Vec<u8> {
    message(b'B', format!("{portal}\0{name}\0\0\0\0\0\0\0").as_bytes())
}

fn execute(portal: &str) -> Vec<u8> {
    message(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

fn sync() -> Vec<u8> {
    message(b'S', b"")
}

fn complete(tag: &str) -> Vec<u8> {
    message(b'C', format!("{tag}\0").as_bytes())
}

fn error(severity: &str, code: &str) -> Vec<u8> {
    message(b'E', format!("S{severity}\0V{severity}\0C{code}\0MS3CRET message\0\0").as_bytes())
}

fn ready(state: u8) -> Vec<u8> {
    message(b'Z', &[state])
}

fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0S3CRET\0database\0shop\0\0";
    [&(body.len() as u32 + 4).to_be_bytes(), body.as_slice()].concat()
}

fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

fn row() -> Vec<u8> {
    message(b'D', b"\0\x01\0\0\0\x06S3CRET")
}

fn login() -> [(limpid_model::Direction, Vec<u8>); 4] {
    [
        (ToServer, startup()),
        (ToClient, message(b'R', b"\0\0\0\x05salt")),
        (ToServer, message(b'p', b"md5S3CRET\0")),
        (
            ToClient,
            join(&[
                message(b'R', &[0; 4]),
                message(b'S', b"server_version\x0015\0"),
                message(b'K', &[1; 8]),
                ready(b'I'),
            ]),
        ),
    ]
}

fn script(parts: &[(limpid_model::Direction, Vec<u8>)]) -> Vec<(limpid_model::Direction, &[u8])> {
    parts.iter().map(|(direction, bytes)| (*direction, bytes.as_slice())).collect()
}

fn lines(parts: &[(limpid_model::Direction, Vec<u8>)]) -> Vec<String> {
    play(&script(parts), &Options::default()).lines()
}

/// All ways of delivery, and the given requests.
fn check(parts: &[(limpid_model::Direction, Vec<u8>)], expected: &[&str]) {
    check_deliveries(parts, expected);
    for length in [1, 3, 9, 40] {
        assert_gaps_invent_nothing(&script(parts), length, &Options::default());
    }
}

fn check_deliveries(parts: &[(limpid_model::Direction, Vec<u8>)], expected: &[&str]) {
    let (script, options) = (script(parts), Options::default());
    assert_eq!(play(&script, &options).lines(), expected);
    assert_same_at_every_cut(&script, &options);
    assert_prefixes_are_harmless(&script, &options);
    for seed in 0..100 {
        assert_eq!(play_shuffled(&script, seed, &options).lines(), expected, "seed {seed}");
    }
}

#[test]
fn a_login_and_simple_queries() {
    let mut parts = login().to_vec();
    parts.extend([
        (ToServer, query("select * from t where a = 'S3CRET'")),
        (ToClient, join(&[message(b'T', b"\0\0"), row(), row(), complete("SELECT 2"), ready(b'I')])),
        (ToServer, query("insert into t values (1); selec")),
        (
            ToClient,
            join(&[complete("INSERT 0 1"), message(b'N', b"SNOTICE\0\0"), error("ERROR", "42601"), ready(b'I')]),
        ),
        (ToServer, query("")),
        (ToClient, join(&[message(b'A', b"\0\0\0\x01c\0p\0"), message(b'I', b""), ready(b'I')])),
        (ToServer, message(b'X', b"")),
    ]);
    check(
        &parts,
        &[
            "STARTUP - - ok",
            "SELECT select * from t where a = ? - ok",
            "INSERT insert into t values (?); selec 42601 error",
            " - - ok",
        ],
    );
    let got = play(&script(&parts), &Options { details: true, ..Options::default() });
    let shown = format!("{:?}", got.requests);
    assert!(!shown.contains("S3CRET") && shown.contains("db.namespace") && shown.contains("shop"), "{shown}");
    assert!(shown.contains("(\"db.response.returned_rows\", Int(2))"), "{shown}");
    assert_eq!(got.requests[0].kind, Kind::Session);
}

#[test]
fn statements_prepared_earlier_portals_and_unknown_ones() {
    let parts = [
        (ToServer, join(&[parse("s1", "SELECT $1::int"), message(b'D', b"Ss1\0"), sync()])),
        (ToClient, join(&[message(b'1', b""), message(b't', b"\0\0"), message(b'n', b""), ready(b'I')])),
        (ToServer, join(&[bind("", "s1"), execute(""), sync()])),
        (ToClient, join(&[message(b'2', b""), row(), complete("SELECT 1"), ready(b'I')])),
        (ToServer, join(&[bind("p", "s1"), execute("p"), execute("p"), message(b'C', b"Ss1\0"), sync()])),
        (
            ToClient,
            join(&[
                message(b'2', b""),
                row(),
                message(b's', b""),
                complete("SELECT 1"),
                message(b'3', b""),
                ready(b'I'),
            ]),
        ),
        (ToServer, join(&[bind("", "s1"), execute(""), sync()])),
        (ToClient, join(&[error("ERROR", "26000"), ready(b'I')])),
        (ToServer, join(&[parse("", "DELETE FROM t WHERE a IN ($1, $2)"), bind("", ""), execute(""), sync()])),
        (ToClient, join(&[message(b'1', b""), message(b'2', b""), complete("DELETE 0"), ready(b'I')])),
    ];
    // No gaps here: a lost Close would leave a name behind that the server has forgotten.
    check_deliveries(
        &parts,
        &[
            "SELECT SELECT ?::int - ok",
            "SELECT SELECT ?::int - ok",
            "SELECT SELECT ?::int - ok",
            "EXECUTE - 26000 error",
            "DELETE DELETE FROM t WHERE a IN (?) - ok",
        ],
    );
}

#[test]
fn an_error_skips_the_pipeline_to_its_sync() {
    let one = |statement: &str| join(&[parse("", statement), bind("", ""), execute("")]);
    let done = |tag: &str| join(&[message(b'1', b""), message(b'2', b""), complete(tag)]);
    let parts = [
        (
            ToServer,
            join(&[
                one("INSERT INTO a VALUES (1)"),
                one("INSERT INTO b VALUES (1)"),
                one("UPDATE c SET d = 1"),
                sync(),
                one("SELECT 1"),
                sync(),
                one("SELECT 2"),
                sync(),
            ]),
        ),
        (
            ToClient,
            join(&[
                done("INSERT 0 1"),
                message(b'1', b""),
                error("ERROR", "23505"),
                ready(b'I'),
                done("SELECT 1"),
                ready(b'I'),
            ]),
        ),
        (ToClient, join(&[error("ERROR", "22012"), ready(b'I')])),
    ];
    check(
        &parts,
        &[
            "INSERT INSERT INTO a VALUES (?) - ok",
            "INSERT INSERT INTO b VALUES (?) 23505 error",
            "UPDATE UPDATE c SET d = ? - unanswered",
            "SELECT SELECT ? - ok",
            "SELECT SELECT ? 22012 error",
        ],
    );
    let got = play(&script(&parts), &Options::default());
    assert_eq!(got.requests[2].unanswered, Some(Unanswered::Closed));
    assert_eq!(got.orphans, 0);
}

#[test]
fn a_statement_that_cannot_be_prepared_is_told() {
    let parts = [
        (ToServer, join(&[parse("s", "SELEC 1"), message(b'D', b"Ss\0"), sync()])),
        (ToClient, join(&[error("ERROR", "42601"), ready(b'I')])),
        (ToServer, query("SELECT 1")),
        (ToClient, join(&[complete("SELECT 1"), ready(b'I')])),
    ];
    check(&parts, &["PREPARE SELEC ? 42601 error", "SELECT SELECT ? - ok"]);
    assert_eq!(play(&script(&parts), &Options::default()).requests[0].kind, Kind::Session);
}

#[test]
fn a_pipeline_without_syncs_that_fails() {
    let one = |statement: &str| join(&[parse("", statement), bind("", ""), execute(""), message(b'H', b"")]);
    let parts = [
        (ToServer, one("SELECT 1")),
        (ToClient, join(&[message(b'1', b""), message(b'2', b""), row(), complete("SELECT 1")])),
        (ToServer, one("SELECT 1/0")),
        (ToClient, join(&[message(b'1', b""), message(b'2', b""), error("ERROR", "22012")])),
        // The client does not know yet.
        (ToServer, one("INSERT INTO t VALUES (1)")),
        (ToServer, sync()),
        (ToClient, ready(b'E')),
        (ToServer, query("ROLLBACK")),
        (ToClient, join(&[complete("ROLLBACK"), ready(b'I')])),
    ];
    check_deliveries(
        &parts,
        &[
            "SELECT SELECT ? - ok",
            "SELECT SELECT ?/? 22012 error",
            "INSERT INSERT INTO t VALUES (?) - unanswered",
            "ROLLBACK ROLLBACK - ok",
        ],
    );
}

#[test]
fn copy_in_both_protocols() {
    let data = join(&[message(b'd', &vec![b'x'; 3000]), message(b'd', b"y\n"), message(b'c', b"")]);
    let copy = [
        (ToServer, query("COPY t FROM STDIN")),
        (ToClient, message(b'G', b"\0\0\0")),
        (ToServer, data.clone()),
        (ToClient, join(&[complete("COPY 2"), ready(b'I')])),
        (ToServer, query("COPY t TO STDOUT")),
        (ToClient, join(&[message(b'H', b"\0\0\0"), data.clone(), complete("COPY 2"), ready(b'I')])),
        (ToServer, query("COPY u FROM STDIN")),
        (ToClient, message(b'G', b"\0\0\0")),
        (ToServer, message(b'f', b"S3CRET\0")),
        (ToClient, join(&[error("ERROR", "57014"), ready(b'I')])),
    ];
    assert_eq!(
        lines(&copy),
        ["COPY COPY t FROM STDIN - ok", "COPY COPY t TO STDOUT - ok", "COPY COPY u FROM STDIN 57014 error"]
    );
    let extended = [
        (ToServer, join(&[parse("", "COPY t FROM STDIN"), bind("", ""), execute(""), sync()])),
        (ToClient, join(&[message(b'1', b""), message(b'2', b""), message(b'G', b"\0\0\0")])),
        (ToServer, join(&[data, sync()])),
        (ToClient, join(&[complete("COPY 2"), ready(b'I')])),
        (ToServer, join(&[bind("", "x"), execute(""), sync()])),
        (ToClient, join(&[error("ERROR", "26000"), ready(b'I')])),
    ];
    assert_eq!(lines(&extended), ["COPY COPY t FROM STDIN - ok", "EXECUTE - 26000 error"]);
}

#[test]
fn replication_cancel_function_call_and_shutdown() {
    let cancel = [0, 0, 0, 16, 4, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 2];
    let got = play(&[(ToServer, &cancel)], &Options::default());
    assert_eq!((got.lines(), got.requests[0].kind), (vec!["CANCEL - - ok".to_owned()], Kind::Session));
    let parts = [
        (ToServer, message(b'F', b"\0\0\0\x01\0\0\0\0\0\0")),
        (ToClient, join(&[message(b'V', b"\0\0\0\0"), ready(b'I')])),
        (ToServer, query("START_REPLICATION 0/0")),
        (ToClient, join(&[message(b'W', b"\0\0\0"), message(b'd', b"w123")])),
        (ToServer, message(b'd', b"r123")),
        (ToServer, message(b'c', b"")),
        (ToClient, join(&[message(b'c', b""), complete("COPY 0"), complete("START_REPLICATION"), ready(b'I')])),
        (ToServer, query("SELECT 1/0")),
        (ToClient, join(&[error("ERROR", "22012"), ready(b'I')])),
        (ToClient, error("FATAL", "57P01")),
    ];
    let mut after_login = login().to_vec();
    after_login.extend(parts);
    let got = play(&script(&after_login), &Options::default());
    assert_eq!(
        got.lines()[1..],
        ["FUNCTION_CALL - - ok", "START_REPLICATION START_REPLICATION ?/? - ok", "SELECT SELECT ?/? 22012 error"]
    );
    assert_eq!(got.orphans, 0);
    let killed = [(ToServer, query("SELECT 1")), (ToClient, error("FATAL", "57P01"))];
    assert_eq!(lines(&killed), ["SELECT SELECT ? 57P01 error"]);
    let refused = [(ToServer, startup()), (ToClient, error("FATAL", "28P01"))];
    assert_eq!(lines(&refused), ["STARTUP - 28P01 error"]);
}

#[test]
fn encryption_is_asked_for_first() {
    let ssl = vec![0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];
    let mut refused = vec![(ToServer, ssl.clone()), (ToClient, b"N".to_vec())];
    refused.extend(login());
    check(&refused, &["STARTUP - - ok"]);
    let mut accepted = vec![(ToServer, ssl), (ToClient, b"S".to_vec())];
    accepted.push((ToServer, b"\x16\x03\x01\0\x05hello".to_vec()));
    accepted.push((ToClient, b"\x16\x03\x03\0\x05hello".to_vec()));
    assert!(lines(&accepted).is_empty());
}

#[test]
fn joined_in_the_middle() {
    let options = Options::default();
    let hints = Hints { client_port: 40000, server_port: 5432, from_start: false };
    let mut player = Player::with(hints, &options);
    player.offsets = [5000, 70000];
    player.say(ToClient, &join(&[row(), complete("SELECT 1"), ready(b'I')]));
    player.say(ToServer, &join(&[bind("", "s7"), execute(""), sync()]));
    player.say(ToClient, &join(&[message(b'2', b""), row(), complete("SELECT 1"), ready(b'I')]));
    let got = player.close();
    assert_eq!(got.lines(), ["EXECUTE - - ok"]);
}

#[test]
fn only_heads_of_long_messages_are_needed() {
    let options = Options::default();
    let mut player = Player::new(&options);
    let rows = format!("INSERT INTO t VALUES {}", vec!["(1, 'S3CRET')"; 20_000].join(", "));
    let statement = query(&rows);
    player.say(ToServer, &statement[..1024]);
    player.lose(ToServer, statement.len() as u64 - 1024);
    let big = message(b'D', &vec![b'x'; 50_000]);
    player.say(ToClient, &big[..100]);
    player.lose(ToClient, big.len() as u64 - 100);
    let tail = join(&[complete("INSERT 0 20000"), ready(b'I')]);
    let offset = player.offsets[ToClient as usize];
    player.connection.data_inside_call(ToClient, offset, player.now_ns, &tail, &mut player.sink);
    player.offsets[ToClient as usize] += tail.len() as u64;
    player.say(ToServer, &query("COMMIT"));
    player.say(ToClient, &join(&[complete("COMMIT"), ready(b'I')]));
    let got = player.close();
    assert_eq!(got.lines(), ["INSERT INSERT INTO t VALUES (?)… - ok", "COMMIT COMMIT - ok"]);
    assert_eq!(got.requests[0].request_bytes(), statement.len() as u64);
}

#[test]
fn a_server_that_escapes_by_backslash_hides_no_less() {
    let parts = [
        (ToServer, startup()),
        (ToClient, join(&[message(b'R', &[0; 4]), message(b'S', b"standard_conforming_strings\0off\0"), ready(b'I')])),
        (ToServer, query("SELECT 'it\\' S3CRET', a")),
        (ToClient, join(&[complete("SELECT 1"), ready(b'I')])),
    ];
    assert_eq!(lines(&parts), ["STARTUP - - ok", "SELECT SELECT ?, a - ok"]);
}

#[test]
fn a_trace_context_is_adopted() {
    let comment = "/*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/";
    let parts = [
        (ToServer, query(&format!("SELECT 1 {comment}"))),
        (ToClient, join(&[complete("SELECT 1"), ready(b'I')])),
        (
            ToServer,
            join(&[
                parse("", &format!("SELECT 2 {comment}")),
                bind("", ""),
                execute(""),
                bind("", ""),
                execute(""),
                sync(),
            ]),
        ),
        (
            ToClient,
            join(&[
                message(b'1', b""),
                message(b'2', b""),
                complete("SELECT 1"),
                message(b'2', b""),
                complete("SELECT 1"),
                ready(b'I'),
            ]),
        ),
    ];
    let got = play(&script(&parts), &Options::default());
    let traced: Vec<_> = got.requests.iter().map(|request| request.trace().is_some()).collect();
    assert_eq!(traced, [true, true, false]);
}

#[test]
fn an_answer_whose_end_alone_is_missing_counts() {
    let failed = [(ToServer, query("SELECT 1/0")), (ToClient, error("ERROR", "22012"))];
    assert_eq!(lines(&failed), ["SELECT SELECT ?/? 22012 error"]);
    let begun = [(ToServer, query("SELECT 1")), (ToClient, join(&[message(b'T', b"\0\0"), row()]))];
    assert_eq!(lines(&begun), ["SELECT SELECT ? - unanswered"]);
}

#[test]
fn a_time_out_is_corrected() {
    let mut player = Player::new(&Options::default());
    player.say(ToServer, &query("SELECT pg_sleep(60)"));
    let connection: &mut Connection = &mut player.connection;
    connection.expire(player.now_ns + 31_000_000_000, &mut player.sink);
    player.say(ToClient, &join(&[complete("SELECT 1"), ready(b'I')]));
    let got = player.close();
    assert_eq!(got.requests[0].unanswered, Some(Unanswered::Timeout));
    assert!(got.requests[1].corrects);
}

#[test]
fn any_messages_are_survived() {
    let mut random = Random(99);
    let client = [
        query("SELECT 1"),
        parse("s", "SELECT $1"),
        bind("", "s"),
        execute(""),
        sync(),
        message(b'D', b"Ss\0"),
        message(b'C', b"Ss\0"),
        message(b'H', b""),
        message(b'F', b""),
        message(b'd', b"x"),
        message(b'c', b""),
        message(b'P', b""),
        message(b'B', b"x"),
        message(b'E', b""),
        vec![0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f],
        startup(),
        vec![b'Q', 0xff, 0xff, 0xff, 0xff],
        vec![b'Q', 0, 0, 0, 1],
    ];
    let server = [
        complete("SELECT 1"),
        error("ERROR", "42601"),
        error("FATAL", "57P01"),
        ready(b'I'),
        ready(b'T'),
        row(),
        message(b'1', b""),
        message(b'2', b""),
        message(b'I', b""),
        message(b's', b""),
        message(b'G', b"\0\0\0"),
        message(b'W', b"\0\0\0"),
        message(b'S', b"a\0b\0"),
        message(b'E', b""),
        message(b'C', b""),
        message(b'Z', b""),
        b"N".to_vec(),
        b"S".to_vec(),
        vec![0xff; 9],
    ];
    for _ in 0..5_000 {
        let mut player = Player::new(&Options { details: true, raw: random.below(2) == 0, ..Options::default() });
        player.play(&script(&login()));
        for _ in 0..random.below(14) {
            let to_server = random.below(2) == 0;
            let (direction, bytes) = if to_server {
                (ToServer, &client[random.below(client.len())])
            } else {
                (ToClient, &server[random.below(server.len())])
            };
            match random.below(8) {
                0 => player.lose(direction, 1 + random.below(20) as u64),
                1 => player.say(direction, &bytes[..random.below(bytes.len())]),
                _ => player.say(direction, bytes),
            }
        }
        player.close();
    }
}

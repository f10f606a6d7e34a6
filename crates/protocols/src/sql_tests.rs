use super::*;

fn of(statement: &str) -> String {
    shape(statement.as_bytes(), false, POSTGRESQL).to_string()
}

#[test]
fn keywords() {
    for (statement, word) in [
        ("select 1", "SELECT"),
        (" /* a */ -- b\n(SELECT 1)", "SELECT"),
        ("# mysql\ninsert into t", "INSERT"),
        ("with x as (select 1) select * from x", "WITH"),
        (";", ""),
        ("", ""),
        ("/* never ends", ""),
        ("'text'", ""),
        ("begin;", "BEGIN"),
        ("a_word_that_is_longer_than_any_keyword", "_OTHER"),
    ] {
        assert_eq!(keyword(statement.as_bytes(), POSTGRESQL), word, "{statement}");
    }
    assert_eq!(keyword(b"\xff\xfe 1", POSTGRESQL), "_OTHER");
    for (statement, word) in [
        ("/*!40101 SET NAMES utf8 */", "SET"),
        ("/*M!100100 create */ table t", "CREATE"),
        ("/*! */ /* no */ /*+ hint */ select 1", "SELECT"),
        ("/*!40000", ""),
    ] {
        assert_eq!(keyword(statement.as_bytes(), MYSQL), word, "{statement}");
    }
}

#[test]
fn shapes() {
    for (statement, expected) in [
        ("SELECT * FROM t WHERE a = 1", "SELECT * FROM t WHERE a = ?"),
        ("SELECT  *\n\tFROM t -- why\nWHERE a=1;", "SELECT * FROM t WHERE a=?"),
        ("SELECT 'it''s', \"My Col\" FROM t", "SELECT ?, \"My Col\" FROM t"),
        ("SELECT 'a' 'b', E'it\\'s', B'01', x'ff', U&'\\0061', N'n'", "SELECT ?, ?, ?, ?, ?, ?"),
        ("a IN (1, 2,3 , 4)", "a IN (?)"),
        ("a IN ('x')", "a IN (?)"),
        ("a IN ($1, $2)", "a IN (?)"),
        ("a IN (?,?,?)", "a IN (?)"),
        ("INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'), (3, NULL)", "INSERT INTO t (a, b) VALUES (?)"),
        ("INSERT INTO t VALUES (1, 2, now()), (2, -3, now())", "INSERT INTO t VALUES (?, ?, now())"),
        ("INSERT INTO t(a)VALUES(DEFAULT, 1)", "INSERT INTO t(a)VALUES(DEFAULT, ?)"),
        ("f(1, 2, x)", "f(?, ?, x)"),
        ("(a, b) IN ((1, 2), (3, 4))", "(a, b) IN ((?))"),
        ("SELECT $$it's $1$$, $tag$ $$ 'x' $tag$, $1", "SELECT ?, ?, ?"),
        ("SELECT 1.5e-10, .5, 0xFF, 1_000, -7, 3 - 2, a-1", "SELECT ?, ?, ?, ?, ?, ? - ?, a-?"),
        ("SELECT a.b.c, t1.c2, \"x\"\"y\".z FROM s1.t_2", "SELECT a.b.c, t1.c2, \"x\"\"y\".z FROM s1.t_2"),
        ("SELECT '2020-01-01'::date, a::int[], ARRAY[1,2,3], b[1]", "SELECT ?::date, a::int[], ARRAY[?], b[?]"),
        (
            "WHERE a IS NULL AND b IS NOT NULL AND c = NULL AND d = TRUE",
            "WHERE a IS NULL AND b IS NOT NULL AND c = ? AND d = ?",
        ),
        ("SELECT data #>> '{a,b}', x # y", "SELECT data #>> ?, x # y"),
        ("SELECT /* a /* nested 'x' */ b */ 1", "SELECT ?"),
        ("SELECT a /* never ends 'x'", "SELECT a"),
        ("SELECT 'never ends", "SELECT ?"),
        ("SELECT \"never ends 'x'", "SELECT ?"),
        ("SELECT $x$ never ends", "SELECT ?"),
        ("LIMIT 10 OFFSET 20", "LIMIT ? OFFSET ?"),
        ("BEGIN; SELECT 1; COMMIT;", "BEGIN; SELECT ?; COMMIT"),
        ("SELECT grüße FROM t", "SELECT grüße FROM t"),
        ("", ""),
    ] {
        assert_eq!(of(statement), expected, "{statement}");
    }
}

#[test]
fn dialects_differ_where_it_matters() {
    let mysql = |statement: &str| shape(statement.as_bytes(), false, MYSQL).to_string();
    assert_eq!(mysql("SELECT \"it\\\"s\", 'a\\'b', `my col` # why 'x'\nFROM t"), "SELECT ?, ?, `my col` FROM t");
    assert_eq!(mysql("/*!40101 SET @old=@@x, a='s' */;"), "SET @old=@@x, a=?");
    assert_eq!(mysql("SELECT /*!50000 SQL_NO_CACHE */ a */*c*/ 2 /* x */ FROM t"), "SELECT SQL_NO_CACHE a * ? FROM t");
    assert_eq!(mysql("CREATE USER 'a'@'h' IDENTIFIED BY \"p\""), "CREATE USER ?@? IDENTIFIED BY ?");
    let escaping = Dialect { backslash_escapes: true, ..POSTGRESQL };
    assert_eq!(shape(b"SELECT 'it\\'s secret', a", false, escaping), "SELECT ?, a");
    let brackets = Dialect { bracketed_identifiers: true, ..POSTGRESQL };
    assert_eq!(shape(b"SELECT [my col] FROM [t]", false, brackets), "SELECT [my col] FROM [t]");
}

#[test]
fn long_statements_are_bounded_and_cuts_do_not_multiply_shapes() {
    let long = format!("SELECT {}", "column_name, ".repeat(1000));
    let text = of(&long);
    assert!(text.len() <= MAX_SHAPE_BYTES + '…'.len_utf8() && text.ends_with('…'), "{}", text.len());
    let umlauts = format!("SELECT {}", "ü".repeat(1000));
    assert!(of(&umlauts).ends_with('…'));
    let rows = format!("INSERT INTO t VALUES {}", vec!["(1, 'x', now())"; 5000].join(", "));
    assert_eq!(of(&rows), "INSERT INTO t VALUES (?, ?, now())");
    let list = format!("a IN ({})", vec!["12345"; 5000].join(","));
    assert_eq!(of(&list), "a IN (?)");
    let rows = "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')";
    for cut in rows.find("), (").map_or(0, |at| at + 2)..rows.len() {
        let text = shape(&rows.as_bytes()[..cut], true, POSTGRESQL);
        assert!(["INSERT INTO t VALUES (?)…", "INSERT INTO t VALUES (?),…"].contains(&text.as_str()), "{cut} {text}");
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Secrets in every syntax that PostgreSQL has for a literal, in random statements cut anywhere.
#[test]
fn no_literal_ever_comes_out() {
    let literals = [
        "'S3CRET'",
        "'it''s S3CRET'",
        "E'a\\'S3CRET\\\\'",
        "e'S3CRET''x'",
        "$$S3CRET$$",
        "$a$ $$ S3CRET ' $a$",
        "N'S3CRET'",
        "U&'S3CRET'",
        "'S3CRET\\'",
        "'a' 'S3CRET'",
        "B'S3CRET'",
        "-- S3CRET ' \n 1",
        "/* S3CRET ' */ 1",
        "'/*S3CRET'",
        "'--S3CRET'",
        "'\"S3CRET\"'",
        "'$$S3CRET'",
        "42S3CRET",
        "1.5S3CRET",
        "0xS3CRET",
        "'\n S3CRET\n'",
        "1$$my S3CRET$$",
        "/* /* S3CRET */ S3CRET */ 2",
        "'\u{fc}S3CRET'",
    ];
    let words = [
        "SELECT", "FROM t", "WHERE", "a =", "(", ")", ",", "IN (", "VALUES (", "), (", "\"q''c\"", "::text", "[", "]",
        "NULL", "-", "+", "||", "?", "$1", ";", "a.b", "x#>", "1", "IS", "--\n",
    ];
    let mut random = Random(0x9e3779b97f4a7c15);
    for _ in 0..20_000 {
        let mut statement = String::new();
        for _ in 0..random.below(12) + 1 {
            let part = match random.below(3) {
                0 => literals[random.below(literals.len())],
                _ => words[random.below(words.len())],
            };
            statement += part;
            statement += [" ", "\n", "  "][random.below(3)];
        }
        for cut in [statement.len(), random.below(statement.len() + 1)] {
            let text = shape(&statement.as_bytes()[..cut], cut < statement.len(), POSTGRESQL);
            assert!(
                !text.contains("S3CRET"),
                "{:?} -> {text}",
                &statement.as_bytes()[..cut].escape_ascii().to_string()
            );
            assert!(text.len() <= MAX_SHAPE_BYTES + '…'.len_utf8());
        }
    }
}

#[test]
fn any_bytes_give_a_bounded_shape() {
    let alphabet = b"'\"$$eE\\/*-#()[],.;:?1a \n`\x00\xff\xc3";
    let mut random = Random(7);
    for _ in 0..50_000 {
        let bytes: Vec<u8> = (0..random.below(40)).map(|_| alphabet[random.below(alphabet.len())]).collect();
        for dialect in [POSTGRESQL, MYSQL] {
            assert!(shape(&bytes, random.below(2) == 0, dialect).len() <= MAX_SHAPE_BYTES + 3);
        }
        let _ = (keyword(&bytes, POSTGRESQL), keyword(&bytes, MYSQL), trace_context(&bytes));
    }
}

/// The same in MySQL's syntax, where double quotes and backslashes mean something else.
#[test]
fn no_literal_of_mysql_ever_comes_out() {
    let literals = [
        "'S3CRET'",
        "\"S3CRET\"",
        "'it''s S3CRET'",
        "'a\\'S3CRET\\\\'",
        "\"a\\\"S3CRET'\"",
        "_utf8mb4'S3CRET'",
        "N'S3CRET'",
        "x'S3CRET'",
        "# S3CRET ' \n 1",
        "-- S3CRET ' \n 1",
        "/* S3CRET ' */ 1",
        "/*+ S3CRET */ 1",
        "/*!50000 'S3CRET' */",
        "/*M!100100 \"S3CRET\" */",
        "'/*!S3CRET'",
        "'*/S3CRET'",
        "'#S3CRET'",
        "\"`S3CRET\"",
        "42S3CRET",
        "0xS3CRET",
    ];
    let words = [
        "SELECT", "FROM t", "a =", "(", ")", ",", "IN (", "VALUES (", "), (", "`q'c`", "NULL", "-", "+", "||", "?",
        ";", "a.b", "1", "@v :=", "@@x", "*/", "/*! a */", "*", "IS",
    ];
    let mut random = Random(0x9e3779b97f4a7c15);
    for _ in 0..20_000 {
        let mut statement = String::new();
        for _ in 0..random.below(12) + 1 {
            statement += match random.below(3) {
                0 => literals[random.below(literals.len())],
                _ => words[random.below(words.len())],
            };
            statement += [" ", "\n", "  "][random.below(3)];
        }
        for cut in [statement.len(), random.below(statement.len() + 1)] {
            let text = shape(&statement.as_bytes()[..cut], cut < statement.len(), MYSQL);
            assert!(!text.contains("S3CRET"), "{:?} -> {text}", &statement[..cut]);
        }
    }
}

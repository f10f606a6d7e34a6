//! Programs that take secrets or data as arguments, one row each. A row that is missing here is still redacted by the
//! names of options and by what values look like; a row that is too wide hides something harmless.

/// How a program's arguments are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What it is told is for itself.
    Client,
    /// May run another program that its arguments name (`sshpass -p x mysql …`).
    Wrapper,
    /// A wrapper that runs the text behind `-c`.
    Shell,
}

#[derive(Debug)]
pub struct Client {
    pub names: &'static [&'static str],
    pub kind: Kind,
    /// Options whose value is a secret, data or code; single letters also with the value glued to them.
    pub hidden: &'static [&'static str],
    /// Options whose value may be shown and is no positional argument.
    pub shown: &'static [&'static str],
    /// How many positional arguments are shown (`set` of `redis-cli set KEY VALUE`); everything behind them is data.
    pub keep: usize,
}

const ALL: usize = usize::MAX;

const fn client(
    names: &'static [&'static str],
    keep: usize,
    hidden: &'static [&'static str],
    shown: &'static [&'static str],
) -> Client {
    Client { names, kind: Kind::Client, hidden, shown, keep }
}

const fn wrapper(names: &'static [&'static str], hidden: &'static [&'static str]) -> Client {
    Client { names, kind: Kind::Wrapper, hidden, shown: &[], keep: ALL }
}

const REDIS_SHOWN: &[&str] = &[
    "-h",
    "-p",
    "-s",
    "-n",
    "-r",
    "-i",
    "-t",
    "-d",
    "-D",
    "-X",
    "-u",
    "--sni",
    "--cacert",
    "--cacertdir",
    "--cert",
    "--key",
    "--user",
    "--rdb",
    "--pipe-timeout",
    "--intrinsic-latency",
    "--show-pushes",
    "--cursor",
    "--count",
];
const CURL_HIDDEN: &[&str] = &[
    "-u",
    "--user",
    "-U",
    "--proxy-user",
    "-H",
    "--header",
    "--proxy-header",
    "-d",
    "--data",
    "--data-ascii",
    "--data-binary",
    "--data-raw",
    "--data-urlencode",
    "--url-query",
    "--json",
    "-F",
    "--form",
    "--form-string",
    "-b",
    "--cookie",
    "--oauth2-bearer",
    "-E",
    "--cert",
    "--proxy-cert",
];
const CURL_SHOWN: &[&str] = &[
    "-A", "-c", "-C", "-D", "-e", "-h", "-K", "-m", "-o", "-P", "-Q", "-r", "-t", "-T", "-w", "-x", "-X", "-y", "-Y",
    "-z",
];

#[rustfmt::skip]
pub static CLIENTS: &[Client] = &[
    // Stores and brokers: the command is telling, keys and values are somebody's data.
    client(&["redis-cli", "valkey-cli", "keydb-cli"], 1, &["-a", "--pass", "--pattern", "--quoted-pattern"], REDIS_SHOWN),
    client(&["redis-benchmark", "valkey-benchmark"], 1, &["-a"], &["-h", "-p", "-s", "-c", "-n", "-d", "-k", "-r", "-P", "-t", "--user", "--threads", "--dbnum"]),
    client(&["memtier_benchmark"], ALL, &["-a", "--authenticate"], &[]),
    client(&["mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlsh", "mysqlslap", "mariadb", "mariadb-dump", "mariadb-admin", "mycli"],
        ALL, &["-p", "-e", "--execute", "--where", "--query", "--init-command"], &["-u", "-h", "-P", "-D", "-S"]),
    client(&["psql", "pgcli", "pgbench", "ysqlsh"], ALL, &["-c", "--command", "-v", "--set", "--variable"], &["-h", "-p", "-U", "-d", "-f", "-o", "-P", "-T", "-F", "-R", "-L", "-n"]),
    client(&["sqlite3", "duckdb"], 1, &["-c", "-cmd"], &[]),
    client(&["sqlplus", "rman", "echo", "printf", "htpasswd", "login"], 0, &[], &[]),
    client(&["sqlcmd", "bcp", "isql", "cqlsh", "cypher-shell"], ALL, &["-P", "-Q", "-q", "-e", "--execute", "-p"], &["-U", "-S", "-u", "-a"]),
    client(&["clickhouse-client", "clickhouse-local"], ALL, &["-q", "--query"], &[]),
    client(&["mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport"], ALL, &["-p", "--eval", "-q", "--query"], &["-u", "-h", "-d", "-c"]),
    client(&["etcdctl", "vault", "bao"], 1, &["--user"], &["--endpoints", "--cacert", "--cert", "--key", "-address", "-namespace"]),
    client(&["consul", "nats"], 2, &["--user"], &["-s", "--server"]),
    client(&["rabbitmqctl", "rabbitmqadmin"], 1, &["-p"], &["-n", "-H", "-P", "-u"]),
    client(&["mosquitto_pub", "mosquitto_sub"], ALL, &["-P", "-m"], &["-h", "-p", "-t", "-u", "-i", "-q"]),
    // HTTP: header values, cookies and bodies.
    client(&["curl"], ALL, CURL_HIDDEN, CURL_SHOWN),
    client(&["wget"], ALL, &["--header", "--post-data", "--body-data"], &["-O", "-o", "-P", "-t", "-T", "-U"]),
    client(&["http", "https", "xh"], 1, &["-a", "--auth"], &[]),
    client(&["ab", "wrk", "wrk2", "hey", "siege", "grpcurl", "websocat"], ALL, &["-H", "--header", "-A", "-C", "-P", "-a", "-d", "-rpc-header"],
        &["-n", "-c", "-t", "-s", "-T", "-k"]),
    // Tools that are told a password.
    client(&["openssl"], ALL, &["-passin", "-passout", "-pass", "-k", "-K", "-password"], &[]),
    client(&["zip", "unzip"], ALL, &["-P"], &[]),
    client(&["7z", "7za", "7zr"], ALL, &["-p"], &[]),
    client(&["ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldappasswd"], ALL, &["-w", "-s", "-a"], &["-H", "-D", "-b"]),
    client(&["smbclient", "rpcclient"], ALL, &["-U"], &[]),
    client(&["lftp"], ALL, &["-u", "-e", "-c"], &[]),
    client(&["wpa_passphrase"], 1, &[], &[]),
    wrapper(&["sshpass"], &["-p"]),
    wrapper(&["xfreerdp"], &["/p"]),
    // Code on the command line may hold anything.
    wrapper(&["python", "pypy"], &["-c"]),
    wrapper(&["node", "nodejs", "bun", "deno"], &["-e", "--eval", "-p", "--print"]),
    wrapper(&["perl", "ruby", "lua"], &["-e", "-E"]),
    wrapper(&["php"], &["-r"]),
    Client { names: &["sh", "bash", "dash", "ash", "zsh", "ksh", "su", "runuser"], kind: Kind::Shell, hidden: &[], shown: &[], keep: ALL },
];

/// The row of a program, by its path; `python3.11` is `python`.
pub fn find(path: &str) -> Option<&'static Client> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    CLIENTS.iter().find(|client| client.names.contains(&name) || !bare.is_empty() && client.names.contains(&bare))
}

/// What an option of a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    /// Nothing that the table knows.
    Unknown,
    /// The next argument is to be hidden.
    HideNext,
    /// The next argument is its value, and may be shown.
    ShowNext,
    /// The next argument is a script for a shell.
    Script,
    /// The option's own text ends here, and what is glued to it is to be hidden.
    HideFrom(usize),
}

impl Client {
    pub fn option(&self, argument: &str) -> Ask {
        if self.hidden.contains(&argument) {
            return Ask::HideNext;
        }
        if self.shown.contains(&argument) {
            return Ask::ShowNext;
        }
        if let Some(at) = argument.find('=').filter(|at| self.hidden.contains(&&argument[..*at])) {
            return Ask::HideFrom(at + 1);
        }
        if argument.starts_with("--") { Ask::Unknown } else { self.letters(argument) }
    }

    /// `-sSu user:password`, `-pSECRET`, `bash -lc …`: letters behind one dash, until one takes a value.
    fn letters(&self, argument: &str) -> Ask {
        let has = |options: &[&str], letter: char| {
            options.iter().any(|option| option.len() == 2 && option.starts_with('-') && option.ends_with(letter))
        };
        for (at, letter) in argument.char_indices().skip(1) {
            let end = at + letter.len_utf8();
            if self.kind == Kind::Shell && letter == 'c' {
                return Ask::Script;
            }
            if has(self.hidden, letter) {
                return if end == argument.len() { Ask::HideNext } else { Ask::HideFrom(end) };
            }
            if has(self.shown, letter) {
                return if end == argument.len() { Ask::ShowNext } else { Ask::Unknown };
            }
        }
        Ask::Unknown
    }
}

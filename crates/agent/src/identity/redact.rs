//! Command lines without their secrets. One table of what a secret looks like; the rest of the line stays readable.

use limpid_model::Text;

pub const REDACTED: &str = "REDACTED";
/// Longest command line that leaves the machine.
const MAX_BYTES: usize = 1024;

/// An option or variable whose name contains one of these (case and punctuation aside) has a secret as its value.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "encryptionkey",
    "signingkey",
    "credential",
    "authorization",
    "bearer",
    "cookie",
    "requirepass",
    "masterauth",
    "authkey",
    "dsn",
];

/// Short options whose value is a secret, by program: (program's name, option, value glued to it too).
const SECRET_SHORT_OPTIONS: &[(&str, &str, bool)] = &[
    ("redis-cli", "-a", false),
    ("redis-benchmark", "-a", false),
    ("mysql", "-p", true),
    ("mysqldump", "-p", true),
    ("mysqladmin", "-p", true),
    ("mariadb", "-p", true),
    ("mongo", "-p", false),
    ("mongosh", "-p", false),
    ("sshpass", "-p", true),
    ("curl", "-u", true),
    ("curl", "-H", false),
    ("wget", "--header", false),
    ("ldapsearch", "-w", false),
    ("smbclient", "-U", false),
];

/// Beginnings of values that are keys by themselves, wherever they stand.
const SECRET_VALUES: &[&str] = &[
    "sk-",
    "sk_live_",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "eyJ",
    "AIza",
    "hvs.",
];

/// The command line as one text, with secrets replaced.
pub fn command_line(args: &[&str]) -> Text {
    let program = args.first().map_or("", |first| file_name(first));
    let mut line = Text::default();
    let mut hide_next = false;
    for arg in args {
        if line.len() >= MAX_BYTES {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        if std::mem::take(&mut hide_next) && !arg.starts_with("--") {
            line.push_str(REDACTED);
            continue;
        }
        hide_next = names_secret_option(program, arg);
        push_redacted(&mut line, program, arg);
    }
    cut(&mut line);
    line
}

/// `--password`, `-a` of redis-cli, `requirepass`: the value is the next argument.
fn names_secret_option(program: &str, arg: &str) -> bool {
    if arg.contains('=') || arg.contains(' ') || arg.contains("://") {
        return false;
    }
    let short = SECRET_SHORT_OPTIONS.iter().any(|(name, option, _)| *name == program && *option == arg);
    short || is_secret_name(arg) && (arg.starts_with('-') || arg == "requirepass" || arg == "masterauth")
}

fn push_redacted(line: &mut Text, program: &str, arg: &str) {
    let glued = SECRET_SHORT_OPTIONS.iter().find(|(name, option, glued)| {
        *name == program && *glued && arg.len() > option.len() && arg.starts_with(option)
    });
    if let Some((_, option, _)) = glued {
        line.push_str(option);
        line.push_str(REDACTED);
        return;
    }
    // A script handed over as one argument (`sh -c '…'`) is redacted word by word.
    let mut hide_next = false;
    for (at, word) in arg.split([' ', '\n', '\t']).enumerate() {
        if at > 0 {
            line.push(' ');
        }
        if std::mem::take(&mut hide_next) && !word.is_empty() {
            line.push_str(REDACTED);
            continue;
        }
        let bare = word.trim_matches(['"', '\'', ',', ';']);
        hide_next = at > 0 && names_secret_option(program, bare)
            || bare.eq_ignore_ascii_case("bearer")
            || bare.eq_ignore_ascii_case("basic");
        push_word(line, word);
    }
}

/// One word: `name=value` and `name:value` with a secret name, URLs with user information, values that are keys.
fn push_word(line: &mut Text, word: &str) {
    if let Some(at) = word.find(['=', ':']).filter(|at| is_secret_name(&word[..*at]) && !word[*at..].starts_with("://"))
    {
        line.push_str(&word[..=at]);
        line.push_str(REDACTED);
        return;
    }
    if looks_like_key(word) {
        line.push_str(REDACTED);
        return;
    }
    if let Some((name, value)) = word.split_once('=').filter(|(_, value)| looks_like_key(value)) {
        line.push_str(name);
        line.push('=');
        line.push_str(if value.is_empty() { "" } else { REDACTED });
        return;
    }
    push_url(line, word);
}

/// User information goes, and the values of secret parameters in the query.
fn push_url(line: &mut Text, word: &str) {
    let Some(authority) = word.find("://").map(|at| at + 3) else {
        line.push_str(word);
        return;
    };
    let end = word[authority..].find(['/', '?', '#']).map_or(word.len(), |at| authority + at);
    line.push_str(&word[..authority]);
    match word[authority..end].rfind('@') {
        Some(at) => {
            line.push_str(REDACTED);
            line.push_str(&word[authority + at..end]);
        }
        None => line.push_str(&word[authority..end]),
    }
    let Some(query) = word[end..].find('?').map(|at| end + at + 1) else {
        line.push_str(&word[end..]);
        return;
    };
    line.push_str(&word[end..query]);
    for (at, pair) in word[query..].split('&').enumerate() {
        if at > 0 {
            line.push('&');
        }
        match pair.split_once('=') {
            Some((name, _)) => {
                line.push_str(name);
                line.push('=');
                line.push_str(REDACTED);
            }
            None => line.push_str(pair),
        }
    }
}

fn looks_like_key(value: &str) -> bool {
    value.len() >= 16 && SECRET_VALUES.iter().any(|prefix| value.starts_with(prefix))
}

pub fn is_secret_name(name: &str) -> bool {
    let mut plain = [0u8; 64];
    let mut length = 0;
    for byte in name.bytes().filter(u8::is_ascii_alphanumeric).take(plain.len()) {
        plain[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    let plain = &plain[..length];
    SECRET_NAMES.iter().any(|secret| memchr::memmem::find(plain, secret.as_bytes()).is_some())
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn cut(line: &mut Text) {
    let mut end = line.len().min(MAX_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canaries_never_pass() {
        for args in [
            &["app", "--password=canary"][..],
            &["app", "--password", "canary"],
            &["app", "--db-password", "canary"],
            &["app", "-Dspring.datasource.password=canary"],
            &["env", "API_KEY=canary", "app"],
            &["app", "--api-key", "canary"],
            &["app", "--auth.token:canary"],
            &["redis-cli", "-a", "canary", "get", "x"],
            &["redis-server", "*:6379", "--requirepass", "canary"],
            &["mysql", "-pcanary", "-uroot"],
            &["curl", "-u", "me:canary", "http://host/"],
            &["curl", "-ume:canary", "http://host/"],
            &["curl", "-H", "Authorization: Bearer canary", "http://host/"],
            &["app", "postgres://me:canary@db/shop"],
            &["app", "--url=postgres://me:canary@db:5432/shop?sslmode=off"],
            &["app", "amqp://me:p@canary@mq/"],
            &["app", "http://host/path?session=canary&x=canary"],
            &["sh", "-c", "PGPASSWORD=canary psql -h db"],
            &["sh", "-c", "psql 'postgres://me:canary@db/shop' -c 'select 1'"],
            &["sh", "-c", "app --password canary --port 80"],
            &["app", "ghp_canarycanarycanary"],
            &["app", "--key=sk-canary-0123456789"],
        ] {
            let line = command_line(args);
            assert!(!line.contains("canary"), "{args:?} became {line}");
            assert!(line.contains(REDACTED), "{args:?} became {line}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for args in [
            &["nginx", "-g", "daemon off;"][..],
            &["java", "-Xmx1g", "-jar", "/srv/shop/checkout-1.2.jar", "--server.port=8080"],
            &["redis-server", "*:6379"],
            &["app", "http://host:80/path", "-p", "8080"],
            &["python3", "-m", "gunicorn", "shop.wsgi:application"],
        ] {
            assert_eq!(command_line(args), args.join(" "));
        }
    }

    #[test]
    fn long_and_odd_lines_are_cut_at_a_character() {
        let long = "ü".repeat(5000);
        assert!(command_line(&["app", &long]).len() <= MAX_BYTES);
        assert_eq!(command_line(&[]), "");
        command_line(&["=", ":", "://", "--", "a://@", "?=", "&"]);
    }
}

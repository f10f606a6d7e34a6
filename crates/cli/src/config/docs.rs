//! `docs/configuration.md` is made from the table of options. `LIMPID_UPDATE_DOCS=1 cargo test -p limpid configuration`
//! writes it anew.

use super::reload::is_taken_up;
use super::table::{Opt, Role, ValueKind, options};
use std::fmt::Write;

const HEAD: &str = "# Configuration

None is needed. `/etc/limpid/limpid.yaml` (or `--config FILE`), then `LIMPID_*` variables, then flags override the defaults. A
key is the flag with underscores, and the variable in capitals: `retention_days: 3`, `LIMPID_RETENTION_DAYS=3` and
`--retention-days 3` say the same. Unknown keys and values that do not fit are errors that name the place.

At SIGHUP (`systemctl reload`) settings are read again from where they came from. Those with a yes under \"reload\" are applied
without detaching anything and without losing data; any other that has changed is named in one line and waits for a restart.
A file with a mistake is refused in one line, and the former settings stay. `limpid up` passes the signal on.

A server that was started by root reads its `auth_file` before it gives up its rights. Changes *in* the file are seen later
too; another file in its place must be readable by the server's user.

This page is made from the table in the code.

| key | values | default | of | reload | what |
| --- | --- | --- | --- | --- | --- |
";

const TAIL: &str = "
## What to leave alone

`exclude` names rules; a program or connection that fits one of them is not watched: no request, span, metric or entity of it,
on neither side of its connections on this machine. `*` stands for any text and `?` for any character.

| rule | fits |
| --- | --- |
| `unit:backup.service` | processes of this systemd unit |
| `image:vault*` | processes in containers of this image, by its whole name or by the part behind the last `/` |
| `path:/usr/bin/psql` | processes that run this file |
| `port:5433` | connections to servers on this port |

The status page counts what each rule has left out. A protocol that is switched off (`protocol_redis: off`) is still found, but
not read: its connections and bytes are counted, its requests are not.

## While the server is away

An agent writes what it would send to files in `spool` (under `limpid up` in its data folder), up to `spool_size`, the oldest
dropped first (`spool_full` among the losses). They outlive the agent, also `kill -9`; the last seconds before a power failure
may be lost. When the server is back, new and old batches take turns, so that the present is on the page at once; the server
knows a batch that comes twice by its id. A full disk leaves the agent with its memory, as does `spool_size: off`.
Nothing is written while the server answers.
";

fn values(kind: ValueKind) -> String {
    match kind {
        ValueKind::Path => "a path".into(),
        ValueKind::List => "a list".into(),
        ValueKind::Choice(words) => words.join(", "),
        _ => kind.check("\0").err().unwrap_or_else(|| "a text".into()),
    }
}

fn row(out: &mut String, option: &Opt) {
    let role = |role: &Role| match role {
        Role::Up => "up",
        Role::Agent => "agent",
        Role::Server => "server",
    };
    let roles: Vec<&str> = option.roles.iter().map(role).collect();
    let default = if option.default.is_empty() { String::new() } else { format!("`{}`", option.default) };
    let (reload, values) = (if is_taken_up(option) { "yes" } else { "" }, values(option.kind));
    let _ = writeln!(
        out,
        "| `{}` | {values} | {default} | {} | {reload} | {} |",
        option.key,
        roles.join(", "),
        option.help
    );
}

#[test]
fn the_page_of_the_configuration_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let mut page = HEAD.to_owned();
    options().iter().for_each(|option| row(&mut page, option));
    page.push_str(TAIL);
    if std::env::var_os("LIMPID_UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).expect("docs/configuration.md is writable");
    }
    let stands = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(stands, page, "docs/configuration.md is not that of the table: run this test with LIMPID_UPDATE_DOCS=1");
}

//! What a client can ask for, and how each is answered.

/// How the server answers a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not at all.
    None,
    /// With one packet, whatever it says.
    Packet,
    /// With OK, an error, or results: columns and rows, perhaps several of them.
    Results,
    /// With rows (or columns) and no word about their columns before.
    Rows,
    /// With the number of the statement, its parameters and columns.
    Prepared,
    /// With the packets of a login, to which the client answers in turn.
    Login,
    /// With a stream of events.
    Stream,
}

#[derive(Debug)]
pub struct Command {
    pub code: u8,
    pub name: &'static str,
    pub answer: Answer,
}

pub const QUIT: u8 = 0x01;
pub const INIT_DB: u8 = 0x02;
pub const QUERY: u8 = 0x03;
pub const STATISTICS: u8 = 0x09;
pub const CHANGE_USER: u8 = 0x11;
pub const STMT_PREPARE: u8 = 0x16;
pub const STMT_EXECUTE: u8 = 0x17;
pub const STMT_CLOSE: u8 = 0x19;
pub const STMT_FETCH: u8 = 0x1c;
pub const RESET_CONNECTION: u8 = 0x1f;
pub const STMT_BULK_EXECUTE: u8 = 0xfa;

const fn command(code: u8, name: &'static str, answer: Answer) -> Command {
    Command { code, name, answer }
}

/// Without COM_SLEEP (0), which is not for clients: a packet that begins so is something else.
static COMMANDS: [Command; 35] = [
    command(QUIT, "QUIT", Answer::None),
    command(INIT_DB, "INIT_DB", Answer::Packet),
    command(QUERY, "QUERY", Answer::Results),
    command(0x04, "FIELD_LIST", Answer::Rows),
    command(0x05, "CREATE_DB", Answer::Packet),
    command(0x06, "DROP_DB", Answer::Packet),
    command(0x07, "REFRESH", Answer::Packet),
    command(0x08, "SHUTDOWN", Answer::Packet),
    command(STATISTICS, "STATISTICS", Answer::Packet),
    command(0x0a, "PROCESS_INFO", Answer::Results),
    command(0x0b, "CONNECT", Answer::Packet),
    command(0x0c, "PROCESS_KILL", Answer::Packet),
    command(0x0d, "DEBUG", Answer::Packet),
    command(0x0e, "PING", Answer::Packet),
    command(0x0f, "TIME", Answer::Packet),
    command(0x10, "DELAYED_INSERT", Answer::Packet),
    command(CHANGE_USER, "CHANGE_USER", Answer::Login),
    command(0x12, "BINLOG_DUMP", Answer::Stream),
    command(0x13, "TABLE_DUMP", Answer::Stream),
    command(0x14, "CONNECT_OUT", Answer::Packet),
    command(0x15, "REGISTER_SLAVE", Answer::Packet),
    command(STMT_PREPARE, "STMT_PREPARE", Answer::Prepared),
    command(STMT_EXECUTE, "STMT_EXECUTE", Answer::Results),
    command(0x18, "STMT_SEND_LONG_DATA", Answer::None),
    command(STMT_CLOSE, "STMT_CLOSE", Answer::None),
    command(0x1a, "STMT_RESET", Answer::Packet),
    command(0x1b, "SET_OPTION", Answer::Packet),
    command(STMT_FETCH, "STMT_FETCH", Answer::Rows),
    command(0x1d, "DAEMON", Answer::Packet),
    command(0x1e, "BINLOG_DUMP_GTID", Answer::Stream),
    command(RESET_CONNECTION, "RESET_CONNECTION", Answer::Packet),
    command(0x20, "CLONE", Answer::Stream),
    command(0x21, "SUBSCRIBE_GROUP_REPLICATION_STREAM", Answer::Stream),
    command(STMT_BULK_EXECUTE, "STMT_BULK_EXECUTE", Answer::Results),
    command(0xfe, "MULTI", Answer::Results),
];

#[inline]
pub fn of(code: u8) -> Option<&'static Command> {
    let in_place = COMMANDS.get(usize::from(code).wrapping_sub(1)).filter(|command| command.code == code);
    in_place.or_else(|| COMMANDS.iter().find(|command| command.code == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_code() {
        for command in &COMMANDS {
            assert_eq!(of(command.code).map(|found| found.name), Some(command.name));
        }
        assert!([0, 0x22, 0xf9, 0xff].iter().all(|code| of(*code).is_none()));
    }
}

//! A grid of characters. Only cells that differ from what the terminal shows are written.

use std::fmt::Write;

/// The 16 colours that every terminal has, as far as they are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    #[default]
    Normal,
    Red,
    Yellow,
    Grey,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub colour: Colour,
    pub bold: bool,
    pub reverse: bool,
}

impl Style {
    pub const BOLD: Style = Style { colour: Colour::Normal, bold: true, reverse: false };
    pub const DIM: Style = Style { colour: Colour::Grey, bold: false, reverse: false };

    pub fn reversed(self) -> Style {
        Style { reverse: true, ..self }
    }

    /// A missing colour stays missing: bold and reverse are what is left without.
    fn sequence(self, colours: bool) -> String {
        let mut out = String::from("\x1b[0");
        if self.bold {
            out.push_str(";1");
        }
        if self.reverse {
            out.push_str(";7");
        }
        match self.colour {
            _ if !colours => {}
            Colour::Normal => {}
            Colour::Red => out.push_str(";31"),
            Colour::Yellow => out.push_str(";33"),
            Colour::Grey => out.push_str(";90"),
        }
        out.push('m');
        out
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    /// The right half of a wide character is '\0'.
    c: char,
    style: Style,
}

const BLANK: Cell = Cell { c: ' ', style: Style { colour: Colour::Normal, bold: false, reverse: false } };

/// What this terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    pub utf8: bool,
    pub colours: bool,
}

impl Abilities {
    pub fn of_environment() -> Abilities {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable).unwrap_or_default().to_lowercase();
        Abilities {
            utf8: locale.contains("utf-8") || locale.contains("utf8"),
            // See no-color.org.
            colours: variable("NO_COLOR").is_none(),
        }
    }
}

pub struct Screen {
    pub width: usize,
    pub height: usize,
    abilities: Abilities,
    shown: Vec<Cell>,
    next: Vec<Cell>,
    /// Nothing is known of what the terminal shows.
    blind: bool,
}

impl Screen {
    pub fn new(width: usize, height: usize, abilities: Abilities) -> Screen {
        let cells = vec![BLANK; width * height];
        Screen { width, height, abilities, shown: cells.clone(), next: cells, blind: true }
    }

    pub fn resize(&mut self, width: usize, height: usize) {
        *self = Screen::new(width, height, self.abilities);
    }

    pub fn clear(&mut self) {
        self.next.fill(BLANK);
    }

    /// Writes as much as fits left of `end`, and returns where it ended.
    pub fn put(&mut self, x: usize, y: usize, end: usize, text: &str, style: Style) -> usize {
        let (mut x, end) = (x, end.min(self.width));
        if y >= self.height {
            return x;
        }
        for c in text.chars().map(|c| shown(c, self.abilities.utf8)) {
            let width = width(c);
            if x + width > end {
                break;
            }
            for (at, c) in [c, '\0'].into_iter().take(width).enumerate() {
                self.next[y * self.width + x + at] = Cell { c, style };
            }
            x += width;
        }
        x
    }

    pub fn put_right(&mut self, end: usize, y: usize, text: &str, style: Style) {
        let length = text.chars().map(|c| width(shown(c, self.abilities.utf8))).sum();
        self.put(end.saturating_sub(length), y, end, text, style);
    }

    /// What to send so that the terminal shows what was drawn.
    pub fn changes(&mut self) -> String {
        let mut out = String::new();
        if self.blind {
            out.push_str("\x1b[0m\x1b[2J");
            self.shown.fill(BLANK);
        }
        let (mut cursor, mut style) = (None, None);
        for at in 0..self.next.len() {
            let cell = self.next[at];
            if cell == self.shown[at] || cell.c == '\0' {
                continue;
            }
            if cursor != Some(at) {
                // Writing into memory cannot fail.
                let _ = write!(out, "\x1b[{};{}H", at / self.width + 1, at % self.width + 1);
            }
            if style != Some(cell.style) {
                out.push_str(&cell.style.sequence(self.abilities.colours));
                style = Some(cell.style);
            }
            out.push(cell.c);
            // At the right edge it depends on the terminal where the cursor is.
            let next = at + width(cell.c);
            cursor = (!next.is_multiple_of(self.width)).then_some(next);
        }
        self.blind = false;
        self.shown.copy_from_slice(&self.next);
        out
    }

    /// The lines as plain text, for tests.
    #[cfg(test)]
    pub fn lines(&self) -> Vec<String> {
        let line = |cells: &[Cell]| cells.iter().map(|cell| cell.c).filter(|c| *c != '\0').collect::<String>();
        self.next.chunks(self.width).map(|cells| line(cells).trim_end().to_owned()).collect()
    }
}

/// What is shown for a character: names come from the network and must not steer the terminal.
pub fn shown(c: char, utf8: bool) -> char {
    match c {
        ' '..='~' => c,
        _ if c.is_control() || is_invisible(c) => '?',
        _ if utf8 => c,
        '–' | '─' => '-',
        '…' | '·' => '.',
        '↓' => 'v',
        '↑' => '^',
        '→' => '>',
        '×' => 'x',
        'µ' => 'u',
        '▁'..='█' => ['_', '.', '.', '-', '-', '=', '=', '#'][c as usize - '▁' as usize],
        _ => '?',
    }
}

/// Combining characters, marks of direction and the like: they have no cell of their own.
fn is_invisible(c: char) -> bool {
    matches!(c as u32, 0xad | 0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5bd | 0x610..=0x61a | 0x64b..=0x65f
        | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x20d0..=0x20ff
        | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe0fff)
}

/// East Asian wide characters and pictographs take two cells.
fn width(c: char) -> usize {
    let wide = matches!(c as u32, 0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f900..=0x1f9ff | 0x20000..=0x3fffd);
    1 + usize::from(wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTF8: Abilities = Abilities { utf8: true, colours: true };

    #[test]
    fn only_what_changed_is_written() {
        let mut screen = Screen::new(20, 3, UTF8);
        screen.put(0, 1, 20, "rate 38.2", Style::default());
        assert!(screen.changes().contains("rate"), "the first picture is whole");
        screen.clear();
        screen.put(0, 1, 20, "rate 39.2", Style::default());
        assert_eq!(screen.changes(), "\x1b[2;7H\x1b[0m9");
        assert_eq!(screen.changes(), "");
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let mut screen = Screen::new(30, 1, UTF8);
        screen.put(0, 0, 30, "a\x1b[2Jb\u{9b}c\u{202e}d\te", Style::default());
        assert_eq!(screen.lines(), ["a?[2Jb?c?d?e"]);
    }

    #[test]
    fn wide_characters_take_two_cells_and_ascii_has_stand_ins() {
        let mut screen = Screen::new(6, 1, UTF8);
        assert_eq!(screen.put(0, 0, 6, "支付x服", Style::default()), 5);
        assert_eq!(screen.lines(), ["支付x"]);
        let mut screen = Screen::new(12, 1, Abilities { utf8: false, colours: false });
        screen.put(0, 0, 12, "–…↓▁█é", Style::default());
        assert_eq!(screen.lines(), ["-.v_#?"]);
        assert!(!screen.changes().contains("\x1b[0;3"));
    }

    #[test]
    fn no_colour_keeps_bold_and_reverse() {
        let style = Style { colour: Colour::Red, bold: true, reverse: true };
        assert_eq!((style.sequence(true), style.sequence(false)), ("\x1b[0;1;7;31m".into(), "\x1b[0;1;7m".into()));
    }
}

//! Nothing secret leaves: known tokens are taken out wherever they stand, and what looks like a credential too.

use std::path::Path;

const REDACTED: &str = "REDACTED";
const SHORTEST: usize = 8;

#[derive(Default)]
pub struct Secrets {
    known: Vec<String>,
}

impl Secrets {
    pub fn add(&mut self, secret: &str) {
        // Shorter ones would take innocent words apart.
        if secret.len() >= SHORTEST {
            self.known.push(secret.to_owned());
        }
    }

    /// All words of a file that holds tokens, but the names of roles.
    pub fn add_words_of(&mut self, path: &Path) {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().take(10_000).for_each(|word| self.add(word));
    }

    pub fn scrub(&self, text: &str) -> String {
        let text = self.known.iter().fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED));
        let text = cut_after(&text, "Bearer ");
        let text = cut_after(&text, "limpid_session_");
        without_userinfo(&text)
    }
}

/// Takes out the word that follows a mark.
fn cut_after(text: &str, mark: &str) -> String {
    let mut parts = text.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || "\"',;".contains(c)).unwrap_or(part.len());
        out.push_str(mark);
        out.push_str(if end > 0 { REDACTED } else { "" });
        out.push_str(&part[end..]);
    }
    out
}

/// `scheme://user:password@host` without what stands before the host.
fn without_userinfo(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || "/\"'<>".contains(c)).unwrap_or(part.len());
        out.push_str("://");
        match part[..end].rfind('@') {
            Some(at) => {
                out.push_str(REDACTED);
                out.push_str(&part[at..]);
            }
            None => out.push_str(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out() {
        let mut secrets = Secrets::default();
        secrets.add("let-me-in-at-once");
        secrets.add("read");
        for (text, want) in [
            ("token let-me-in-at-once.", "token REDACTED."),
            ("read this", "read this"),
            ("authorization: Bearer abc.def\nnext", "authorization: Bearer REDACTED\nnext"),
            ("store: clickhouse://me:canary@db:9000/x", "store: clickhouse://REDACTED@db:9000/x"),
            ("http://db:4317 and mail a@b", "http://db:4317 and mail a@b"),
            ("cookie limpid_session_7117=0123456789; x", "cookie limpid_session_REDACTED; x"),
        ] {
            assert_eq!(secrets.scrub(text), want);
        }
    }
}

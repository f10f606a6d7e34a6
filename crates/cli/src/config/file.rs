//! The YAML file: a flat map of the table's keys.

use super::table::{ValueKind, nearest, option, options};
use super::{ConfigError, DEFAULT_FILE, Found};
use std::io::Read;
use std::path::PathBuf;

const MAX_FILE_BYTES: usize = 1024 * 1024;

/// A file that was named must exist; the default one need not.
pub fn read(file: Option<PathBuf>) -> Result<Vec<Found>, ConfigError> {
    let named = file.is_some();
    let path = file.unwrap_or_else(|| DEFAULT_FILE.into());
    let text = match read_bounded(&path) {
        Ok(text) => text,
        Err(error) if !named && error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let path = path.display();
            return Err(ConfigError(format!(
                "the configuration {path} cannot be read: {error}; name a YAML file with --config"
            )));
        }
    };
    let place = path.display().to_string();
    if text.len() > MAX_FILE_BYTES {
        return Err(ConfigError(format!("the configuration {place} is larger than {MAX_FILE_BYTES} bytes")));
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let map: Option<std::collections::BTreeMap<String, serde_json::Value>> =
        serde_saphyr::from_str(&text).map_err(|error| {
            ConfigError(format!("the configuration {place} is not valid: {}", in_our_words(&error.to_string())))
        })?;
    map.unwrap_or_default().into_iter().map(|(key, value)| found(&key, value, &place)).collect()
}

/// One byte more than is allowed tells that there is more.
fn read_bounded(path: &std::path::Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// The parser's first line, without what only its own users can do about it.
fn in_our_words(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(", set ").next().unwrap_or(line).trim_start_matches("error: ");
    line.replace("expected mapping start", "expected YAML with lines of KEY: VALUE")
}

fn found(key: &str, value: serde_json::Value, place: &str) -> Result<Found, ConfigError> {
    let Some(option) = option(key) else {
        let nearest = nearest(key, options().iter().map(|option| option.key.to_owned()));
        return Err(ConfigError(format!("unknown key `{key}` in {place}{nearest}")));
    };
    let text = match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Number(number) => number.to_string(),
        serde_json::Value::Bool(true) => "on".into(),
        serde_json::Value::Bool(false) => "off".into(),
        serde_json::Value::Array(values) if option.kind == ValueKind::List => {
            values.iter().map(one_of_list).collect::<Option<Vec<_>>>().map(|texts| texts.join(",")).ok_or_else(
                || ConfigError(format!("`{key}` in {place} is no list of texts: write lines such as `- port:5433`")),
            )?
        }
        other => return Err(ConfigError(format!("`{key}` in {place} is `{other}`, expected one value"))),
    };
    Ok((option, text, place.to_owned()))
}

/// `- port: 5433` is a map of one pair to YAML, and means what `- port:5433` does.
fn one_of_list(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Object(pairs) if pairs.len() == 1 => {
            let (key, value) = pairs.iter().next()?;
            let value =
                value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|number| number.to_string()))?;
            Some(format!("{key}:{value}"))
        }
        _ => None,
    }
}

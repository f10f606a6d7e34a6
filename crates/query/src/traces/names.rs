//! Texts by number: of a hundred thousand spans most say the same few things.

use rustc_hash::FxHashMap;
use std::rc::Rc;

/// More texts than this are told apart by nobody.
const MAX_TEXTS: usize = 100_000;

#[derive(Default)]
pub struct Names {
    numbers: FxHashMap<Rc<str>, u32>,
    texts: Vec<Rc<str>>,
}

impl Names {
    /// `None` once there are too many.
    pub fn number(&mut self, text: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        if self.texts.len() >= MAX_TEXTS {
            return None;
        }
        let (number, text) = (self.texts.len() as u32, Rc::<str>::from(text));
        self.texts.push(text.clone());
        self.numbers.insert(text, number);
        Some(number)
    }

    pub fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }
}

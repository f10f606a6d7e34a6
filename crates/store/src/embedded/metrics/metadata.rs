//! Type, unit and help of each metric name: few, so they are one small file that is replaced as a whole.

use crate::StoreError;
use crate::embedded::layout;
use crate::embedded::losses::{self, Losses};
use limpid_model::Text;
use limpid_model::series::{Metadata, MetricType};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const NAME: &str = "metadata.json";
/// Names beyond it are not described.
const MAX_NAMES: usize = 50_000;

#[derive(Default)]
pub struct MetadataList {
    by_name: BTreeMap<Text, Metadata>,
}

impl MetadataList {
    pub fn add(&mut self, metadata: &Metadata) {
        if self.by_name.len() < MAX_NAMES || self.by_name.contains_key(&metadata.name) {
            self.by_name.insert(metadata.name.clone(), metadata.clone());
        }
    }

    pub fn all(&self) -> Vec<Metadata> {
        self.by_name.values().cloned().collect()
    }

    pub fn save(&self, folder: &Path) -> Result<(), StoreError> {
        let rows: Vec<[&str; 4]> = self
            .by_name
            .values()
            .map(|one| [one.name.as_str(), one.kind.as_str(), one.unit.as_str(), one.help.as_str()])
            .collect();
        let path = folder.join(NAME);
        let json = serde_json::to_vec(&rows).map_err(io::Error::from)?;
        layout::write_file(&path, &json).map_err(|error| layout::at(&path, error))
    }

    pub fn load(folder: &Path, losses: &Losses) -> Result<Self, StoreError> {
        let path = folder.join(NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(MetadataList::default()),
            Err(error) => return Err(layout::at(&path, error)),
        };
        let mut list = MetadataList::default();
        match serde_json::from_slice::<Vec<[String; 4]>>(&bytes) {
            Ok(rows) => rows.into_iter().filter_map(from_row).for_each(|metadata| list.add(&metadata)),
            Err(error) => {
                layout::set_aside(&path, &error.to_string());
                losses::add(&losses.damaged_files, 1);
            }
        }
        Ok(list)
    }
}

fn from_row([name, kind, unit, help]: [String; 4]) -> Option<Metadata> {
    let kinds = [MetricType::Counter, MetricType::Gauge, MetricType::Histogram];
    let kind = kinds.into_iter().find(|known| known.as_str() == kind)?;
    Some(Metadata { name: name.into(), kind, unit: unit.into(), help: help.into() })
}

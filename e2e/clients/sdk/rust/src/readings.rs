//! The table's items: more than one page of 1 MB, in 4 partition keys.

use crate::expectations::{Result, same};
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

pub const TABLE: &str = "readings.rust";

/// By celsius; it has the keys alone.
pub const LOCAL_INDEX: &str = "by-celsius";

const HOURS: u32 = 30;

pub type Item = HashMap<String, AttributeValue>;

#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub station: String,
    pub hour: u32,
    pub celsius: f64,
    pub note: String,
}

impl Reading {
    pub fn item(&self) -> Item {
        let mut item = key(&self.station, self.hour);
        item.insert("celsius".into(), AttributeValue::N(self.celsius.to_string()));
        item.insert("note".into(), AttributeValue::S(self.note.clone()));
        item
    }

    pub fn key(&self) -> Item {
        key(&self.station, self.hour)
    }

    /// What an item says; of what was not read, nothing.
    pub fn from_item(item: &Item) -> Result<Self> {
        Ok(Self {
            station: text(item, "station")?,
            hour: number(item, "hour")?.parse()?,
            celsius: number(item, "celsius")?.parse()?,
            note: text(item, "note")?,
        })
    }
}

pub fn key(station: &str, hour: u32) -> Item {
    HashMap::from([
        ("station".to_owned(), AttributeValue::S(station.to_owned())),
        ("hour".to_owned(), AttributeValue::N(hour.to_string())),
    ])
}

fn text(item: &Item, name: &str) -> Result<String> {
    match item.get(name) {
        None => Ok(String::new()),
        Some(AttributeValue::S(text)) => Ok(text.clone()),
        Some(other) => Err(format!("{name} is {other:?}").into()),
    }
}

fn number<'a>(item: &'a Item, name: &str) -> Result<&'a str> {
    match item.get(name) {
        Some(AttributeValue::N(number)) => Ok(number),
        other => Err(format!("{name} is {other:?}").into()),
    }
}

pub fn all() -> Vec<Reading> {
    let stations = ["east", "north", "south", "west"];
    stations
        .into_iter()
        .flat_map(|station| {
            (0..HOURS).map(move |hour| Reading {
                station: station.to_owned(),
                hour,
                celsius: celsius_at(hour),
                note: format!("{station} {hour}, ").repeat(1200),
            })
        })
        .collect()
}

/// No two of a station's are alike, and their order is not that of its hours: an index by them has an order of its own.
fn celsius_at(hour: u32) -> f64 {
    f64::from(hour * 7 % HOURS) / 4.0 - 3.0
}

/// That these items are the readings, in whatever order.
pub fn same_readings(items: &[Item], wanted: &[Reading]) -> Result<()> {
    let mut found = items.iter().map(Reading::from_item).collect::<Result<Vec<_>>>()?;
    found.sort_by(|a, b| (&a.station, a.hour).cmp(&(&b.station, b.hour)));
    same("the number of items", &found.len(), &wanted.len())?;
    for (found, wanted) in found.iter().zip(wanted) {
        same("an item", found, wanted)?;
    }
    Ok(())
}

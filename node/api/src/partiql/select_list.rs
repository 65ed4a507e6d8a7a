//! What a SELECT returns of an item.

use cairn_expression::{Path, PathElement, Projection};
use cairn_model::{AttributeValue, Item, ServiceError, codec::EncodedItem, json};
use std::collections::BTreeSet;

/// The paths between SELECT and FROM; all attributes where there are none.
#[derive(Clone, Debug)]
pub(crate) struct SelectList(Option<Vec<Path>>);

/// One item of an answer: as it came, or made here.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    Stored(EncodedItem),
    Made(Item),
}

impl SelectList {
    /// Each path once, where it comes last (the last of a name counts): a thousand times would be as many copies.
    pub(super) fn new(paths: Option<Vec<Path>>) -> Self {
        let distinct = |paths: Vec<Path>| {
            let mut seen = BTreeSet::new();
            let mut last: Vec<Path> = paths.into_iter().rev().filter(|path| seen.insert(path.clone())).collect();
            last.reverse();
            last
        };
        Self(paths.map(distinct))
    }

    /// What a partition has to return: whole attributes. Steps into them are taken here.
    pub(crate) fn attributes(&self) -> Option<Projection> {
        let paths = self.0.as_ref()?;
        let names: BTreeSet<&str> = paths.iter().map(Path::name).collect();
        Some(Projection::of_names(names.into_iter().map(str::to_owned)))
    }

    /// The row of an item of which the partition returned [`Self::attributes`].
    pub(super) fn row(&self, item: EncodedItem) -> Result<Row, ServiceError> {
        match &self.0 {
            Some(paths) if paths.iter().any(|path| !path.rest().is_empty()) => Ok(Row::Made(self.of(item.decode()?))),
            _ => Ok(Row::Stored(item)),
        }
    }

    /// The row's attributes out of a whole item.
    pub(crate) fn of(&self, item: Item) -> Item {
        let Some(paths) = &self.0 else { return item };
        let found = |path: &Path| -> Option<(String, AttributeValue)> { Some((label(path), path.get(&item)?.clone())) };
        paths.iter().filter_map(found).collect()
    }
}

/// The name that what lies at a path is returned under: the path's last name, and the indexes behind it.
fn label(path: &Path) -> String {
    let mut label = path.name().to_owned();
    for element in path.rest() {
        match element {
            PathElement::Attribute(name) => name.clone_into(&mut label),
            PathElement::Index(at) => label += &format!("[{at}]"),
        }
    }
    label
}

impl Row {
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), ServiceError> {
        match self {
            Self::Stored(item) => json::write_encoded_item(item, out)?,
            Self::Made(item) => json::write_item(item, out),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_expression::partiql::Statement;

    #[test]
    fn a_path_that_is_named_many_times_is_taken_once() {
        let text = format!("SELECT m.a, n.a{}, n.a, m.a FROM t", ", m.a".repeat(1_000));
        let Statement::Select(select) = Statement::parse(&text, &[]).unwrap() else { panic!("no SELECT") };
        let list = SelectList::new(select.projection);
        let paths: Vec<String> = list.0.as_ref().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["[n, a]", "[m, a]"]);
        let within = |text: &str| AttributeValue::M(Item::from([("a".to_owned(), AttributeValue::S(text.to_owned()))]));
        let item = Item::from([("m".to_owned(), within("of m")), ("n".to_owned(), within("of n"))]);
        assert_eq!(list.of(item)["a"], AttributeValue::S("of m".to_owned()));
    }

    #[test]
    fn what_lies_within_is_returned_under_its_last_name_with_its_indexes() {
        let Statement::Select(select) = Statement::parse("SELECT a, m.b, m.l[1], l[0], gone.x FROM t", &[]).unwrap()
        else {
            panic!("no SELECT")
        };
        let item: Item = serde_json::from_str::<json::JsonItem>(
            r#"{"a":{"N":"1"},"m":{"M":{"b":{"N":"2"},"l":{"L":[{"N":"3"},{"N":"4"}]}}},"l":{"L":[{"N":"5"}]},"x":{"N":"6"}}"#,
        )
        .unwrap()
        .into_item()
        .unwrap();
        let mut out = Vec::new();
        json::write_item(&SelectList::new(select.projection).of(item), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"a":{"N":"1"},"b":{"N":"2"},"l[0]":{"N":"5"},"l[1]":{"N":"4"}}"#
        );
    }
}

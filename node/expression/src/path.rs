//! Document paths: `a.b[0].c`.

use cairn_model::{AttributeValue, Item};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a value lies in an item: a name, then names and indexes. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Path {
    name: String,
    rest: Vec<PathElement>,
}

/// One step into a map or a list. (Ordered so that the indexes of a list ascend.)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PathElement {
    Attribute(String),
    Index(u32),
}

impl Path {
    /// The path of a top-level attribute.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), rest: Vec::new() }
    }

    pub(crate) fn push(&mut self, element: PathElement) {
        self.rest.push(element);
    }

    /// The top-level attribute the path begins with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The steps from there.
    pub fn rest(&self) -> &[PathElement] {
        &self.rest
    }

    /// What lies there.
    pub fn get<'a>(&self, item: &'a Item) -> Option<&'a AttributeValue> {
        self.follow(&self.rest, item)
    }

    fn follow<'a>(&self, steps: &[PathElement], item: &'a Item) -> Option<&'a AttributeValue> {
        steps.iter().try_fold(item.get(&self.name)?, |value, element| match (value, element) {
            (AttributeValue::M(map), PathElement::Attribute(name)) => map.get(name),
            (AttributeValue::L(list), PathElement::Index(at)) => list.get(*at as usize),
            _ => None,
        })
    }

    /// Whether the last step can be taken, to something that is there or not.
    pub(crate) fn has_parent(&self, item: &Item) -> bool {
        let Some((last, steps)) = self.rest.split_last() else { return true };
        matches!(
            (self.follow(steps, item), last),
            (Some(AttributeValue::M(_)), PathElement::Attribute(_))
                | (Some(AttributeValue::L(_)), PathElement::Index(_))
        )
    }

    /// The container and the place in it that the path names; none where there is no such container.
    pub(crate) fn slot<'a>(&'a self, item: &'a mut Item) -> Option<Slot<'a>> {
        let Some((last, steps)) = self.rest.split_last() else { return Some(Slot::Attribute(item, &self.name)) };
        let parent = steps.iter().try_fold(item.get_mut(&self.name)?, |value, element| match (value, element) {
            (AttributeValue::M(map), PathElement::Attribute(name)) => map.get_mut(name),
            (AttributeValue::L(list), PathElement::Index(at)) => list.get_mut(*at as usize),
            _ => None,
        })?;
        match (parent, last) {
            (AttributeValue::M(map), PathElement::Attribute(name)) => Some(Slot::Attribute(map, name)),
            (AttributeValue::L(list), PathElement::Index(at)) => Some(Slot::Element(list, *at as usize)),
            _ => None,
        }
    }

    /// How two paths get in each other's way.
    fn clash(&self, other: &Self) -> Option<Clash> {
        if self.name != other.name {
            return None;
        }
        for pair in self.rest.iter().zip(&other.rest) {
            match pair {
                (PathElement::Attribute(_), PathElement::Index(_))
                | (PathElement::Index(_), PathElement::Attribute(_)) => return Some(Clash::Conflict),
                (one, two) if one != two => return None,
                _ => {}
            }
        }
        Some(Clash::Overlap)
    }
}

/// A place that can be written.
pub(crate) enum Slot<'a> {
    Attribute(&'a mut Item, &'a str),
    Element(&'a mut Vec<AttributeValue>, usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Clash {
    Overlap,
    Conflict,
}

/// As DynamoDB's messages show a path: `[a, b, [0]]`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}", self.name)?;
        for element in &self.rest {
            match element {
                PathElement::Attribute(name) => write!(f, ", {name}")?,
                PathElement::Index(at) => write!(f, ", [{at}]")?,
            }
        }
        f.write_str("]")
    }
}

/// DynamoDB's message for the first two paths of an expression that get in each other's way; an overlap goes first.
pub(crate) fn find_clash<'a>(paths: impl Iterator<Item = &'a Path>) -> Option<String> {
    let paths: Vec<&Path> = paths.collect();
    let find = |kind: Clash, word: &str| {
        let (one, two) = first_clash(&paths, kind)?;
        Some(format!(
            "Two document paths {word} with each other; must remove or rewrite one of these paths; path one: {one}, \
             path two: {two}"
        ))
    };
    find(Clash::Overlap, "overlap").or_else(|| find(Clash::Conflict, "conflict"))
}

/// The first path that clashes with one before it, and the first of those. Where conflicts are looked for, there must be no overlaps.
fn first_clash<'a>(paths: &[&'a Path], kind: Clash) -> Option<(&'a Path, &'a Path)> {
    if !any_clash(paths, kind) {
        return None;
    }
    // An expression has thousands of paths: not each is held against each.
    let (mut without, mut with) = (1, paths.len());
    while without + 1 < with {
        let middle = usize::midpoint(without, with);
        if any_clash(&paths[..middle], kind) { with = middle } else { without = middle }
    }
    let (two, before) = paths[..with].split_last()?;
    let one = before.iter().find(|one| one.clash(two) == Some(kind))?;
    Some((one, two))
}

/// In their order, one path lies in another just where neighbours do, and steps of both kinds from one place meet.
fn any_clash(paths: &[&Path], kind: Clash) -> bool {
    let mut ordered = paths.to_vec();
    ordered.sort_unstable();
    ordered.windows(2).any(|pair| pair[0].clash(pair[1]) == Some(kind))
}

/// What lies at the paths, which must be in ascending order: maps keep their shape, and lists hold just the elements
/// named, in their order.
pub(crate) fn project<'a>(paths: impl IntoIterator<Item = &'a Path>, item: &Item) -> Item {
    let mut projected = Item::new();
    let mut before: Option<&Path> = None;
    for path in paths {
        let Some(value) = path.get(item) else { continue };
        // Elements of a list that the path before went through too are its last ones.
        let shared = before
            .filter(|before| before.name == path.name)
            .map_or(0, |before| 1 + before.rest.iter().zip(&path.rest).take_while(|(one, two)| one == two).count());
        insert(&mut projected, path, value.clone(), shared);
        before = Some(path);
    }
    projected
}

fn insert(projected: &mut Item, path: &Path, value: AttributeValue, shared: usize) {
    let Some((last, steps)) = path.rest.split_last() else {
        projected.insert(path.name.clone(), value);
        return;
    };
    let mut place = projected.entry(path.name.clone()).or_insert_with(|| container(&path.rest[0]));
    for (at, element) in steps.iter().enumerate() {
        let inside = &path.rest[at + 1];
        place = match (place, element) {
            (AttributeValue::M(map), PathElement::Attribute(name)) => {
                map.entry(name.clone()).or_insert_with(|| container(inside))
            }
            (AttributeValue::L(list), PathElement::Index(_)) => {
                if at + 1 >= shared || list.is_empty() {
                    list.push(container(inside));
                }
                let Some(element) = list.last_mut() else { return };
                element
            }
            _ => return,
        };
    }
    match (place, last) {
        (AttributeValue::M(map), PathElement::Attribute(name)) => {
            map.insert(name.clone(), value);
        }
        (AttributeValue::L(list), PathElement::Index(_)) => list.push(value),
        _ => {}
    }
}

/// The empty container that a step goes into.
fn container(step: &PathElement) -> AttributeValue {
    match step {
        PathElement::Attribute(_) => AttributeValue::M(Item::new()),
        PathElement::Index(_) => AttributeValue::L(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn element() -> impl Strategy<Value = PathElement> {
        prop_oneof!["[ab]".prop_map(PathElement::Attribute), (0..2_u32).prop_map(PathElement::Index)]
    }

    fn path() -> impl Strategy<Value = Path> {
        ("[a-d]", vec(element(), 0..4)).prop_map(|(name, rest)| Path { name, rest })
    }

    /// Each held against each before it.
    fn plainly<'a>(paths: &[&'a Path], kind: Clash) -> Option<(&'a Path, &'a Path)> {
        paths.iter().enumerate().find_map(|(at, two)| {
            let one = paths[..at].iter().find(|one| one.clash(two) == Some(kind))?;
            Some((*one, *two))
        })
    }

    proptest! {
        #[test]
        fn the_first_clash_is_found(paths in vec(path(), 0..12)) {
            let paths: Vec<&Path> = paths.iter().collect();
            let overlap = plainly(&paths, Clash::Overlap);
            prop_assert_eq!(first_clash(&paths, Clash::Overlap), overlap);
            if overlap.is_none() {
                prop_assert_eq!(first_clash(&paths, Clash::Conflict), plainly(&paths, Clash::Conflict));
            }
        }
    }
}

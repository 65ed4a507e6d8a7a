//! Reading items and values from requests.

use super::members::{Blob, ListSeed, Member, MemberSeed, NOT_EXPECTED, Shape, refuse_scalars};
use crate::{
    AttributeValue, Item, ServiceError,
    limits::{ATTRIBUTE_NAME_BYTES_MAX, ITEM_BYTES_MAX, NESTING_DEPTH_MAX},
    number::Number,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{collections::BTreeSet, fmt};

const INVALID: &str = "One or more parameter values were invalid:";
const EMPTY_VALUE: &str = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
const SEVERAL_TYPES: &str =
    "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes";
const TOO_DEEP: &str =
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit";
const EMPTY_NAME: &str = "Empty attribute name";
const TOO_LARGE: &str = "Item size has exceeded the maximum allowed size";

/// An item as a request carries it.
///
/// Deserializing fails for what is not of DynamoDB JSON's shape (a SerializationException, see
/// [`super::serialization_error`]). A value that DynamoDB's validation refuses does not fail it, since other parameters
/// may be refused before: the first one's error waits in [`JsonItem::into_item`].
#[derive(Clone, Debug, Default)]
pub struct JsonItem {
    item: Item,
    problem: Option<Box<Problem>>,
}

impl JsonItem {
    /// The item, or DynamoDB's ValidationException for what is wrong in it.
    pub fn into_item(self) -> Result<Item, ServiceError> {
        self.problem.map_or(Ok(self.item), |problem| Err(ServiceError::validation(problem.message)))
    }

    /// As [`Self::into_item`], in the words of the operations that have kept DynamoDB's older reader of values.
    pub fn into_item_as_before(self) -> Result<Item, ServiceError> {
        self.problem.map_or(Ok(self.item), |problem| Err(problem.into_error_as_before()))
    }
}

impl<'de> Deserialize<'de> for JsonItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut problems = Problems::default();
        let item = MapSeed { problems: &mut problems, depth: 0 }.deserialize(deserializer)?;
        Ok(Self { item: item.unwrap_or_default(), problem: problems.first.map(Box::new) })
    }
}

/// One value as a request carries it; see [`JsonItem`].
#[derive(Clone, Debug)]
pub struct JsonValue {
    value: AttributeValue,
    problem: Option<Box<Problem>>,
}

impl JsonValue {
    /// The value, or DynamoDB's ValidationException for what is wrong in it.
    pub fn into_value(self) -> Result<AttributeValue, ServiceError> {
        self.problem.map_or(Ok(self.value), |problem| Err(ServiceError::validation(problem.message)))
    }

    /// As [`JsonItem::into_item_as_before`].
    pub fn into_value_as_before(self) -> Result<AttributeValue, ServiceError> {
        self.problem.map_or(Ok(self.value), |problem| Err(problem.into_error_as_before()))
    }

    /// Whether what is wrong in it is told in other words by [`Self::into_value_as_before`].
    pub fn is_told_otherwise_before(&self) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.before.is_some())
    }
}

impl<'de> Deserialize<'de> for JsonValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut problems = Problems::default();
        let value = ValueSeed { problems: &mut problems, depth: 1 }.deserialize(deserializer)?;
        Ok(Self { value, problem: problems.first.map(Box::new) })
    }
}

/// What DynamoDB's validation refuses a value with.
#[derive(Clone, Debug)]
struct Problem {
    message: String,
    /// What its older reader of values says of it: of numbers, and of a set's members that come twice.
    before: Option<String>,
}

impl Problem {
    fn into_error_as_before(self) -> ServiceError {
        ServiceError::validation(self.before.unwrap_or(self.message))
    }
}

/// The first thing DynamoDB's validation would refuse. What is read after it is not kept.
struct Problems {
    first: Option<Problem>,
    /// Whether that is an empty name within a value.
    is_inner_name: bool,
    /// A few bytes of JSON make a value of many: in an item, every value takes a byte at least.
    values_left: usize,
}

impl Default for Problems {
    fn default() -> Self {
        Self { first: None, is_inner_name: false, values_left: ITEM_BYTES_MAX }
    }
}

impl Problems {
    /// Whether values, so many more, are to be kept.
    fn keep(&mut self, values: usize) -> bool {
        match self.values_left.checked_sub(values) {
            Some(left) => self.values_left = left,
            None => self.add(|| TOO_LARGE.to_owned()),
        }
        self.first.is_none()
    }

    fn keep_set(&mut self, members: usize) -> bool {
        // One of them may be empty.
        self.keep(members.saturating_sub(1))
    }

    fn add(&mut self, message: impl FnOnce() -> String) {
        self.first.get_or_insert_with(|| Problem { message: message(), before: None });
    }

    /// An item's own names are told before any depth, and that before the names within values, in whatever order they come.
    fn add_empty_name(&mut self, is_inner: bool) {
        match &self.first {
            None => self.is_inner_name = is_inner,
            Some(first) if !is_inner && (self.is_inner_name || first.message == TOO_DEEP) => {
                self.first = None;
                self.is_inner_name = false;
            }
            Some(_) => return,
        }
        self.add(|| EMPTY_NAME.to_owned());
    }

    fn add_too_deep(&mut self) {
        if std::mem::take(&mut self.is_inner_name) {
            self.first = None;
        }
        self.add(|| TOO_DEEP.to_owned());
    }

    fn add_with_before(&mut self, message: String, before: String) {
        self.first.get_or_insert(Problem { message, before: Some(before) });
    }
}

/// Reads a map of attributes; `depth` is that of the value it stands in, 0 for an item.
struct MapSeed<'p> {
    problems: &'p mut Problems,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for MapSeed<'_> {
    type Value = Option<Item>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MapSeed<'_> {
    type Value = Option<Item>;

    refuse_scalars!(Shape::Map);

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(Shape::Map.array())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut item = Item::new();
        while let Some(name) = access.next_key::<String>()? {
            if name.is_empty() {
                self.problems.add_empty_name(self.depth > 0);
            }
            if name.len() > ATTRIBUTE_NAME_BYTES_MAX {
                self.problems.add(|| {
                    format!(
                        "{INVALID} An attribute name has exceeded the maximum size of {ATTRIBUTE_NAME_BYTES_MAX} bytes"
                    )
                });
            }
            let seed = ValueSeed { problems: self.problems, depth: self.depth + 1 };
            let value = access.next_value_seed(seed)?;
            if self.problems.keep(1) {
                item.insert(name, value);
            }
        }
        Ok(Some(item))
    }
}

/// Reads a list's elements.
struct ElementsSeed<'p> {
    problems: &'p mut Problems,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for ElementsSeed<'_> {
    type Value = Option<Vec<AttributeValue>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ElementsSeed<'_> {
    type Value = Option<Vec<AttributeValue>>;

    refuse_scalars!(Shape::List);

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) =
            access.next_element_seed(ValueSeed { problems: self.problems, depth: self.depth + 1 })?
        {
            if self.problems.keep(1) {
                list.push(element);
            }
        }
        Ok(Some(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(A::Error::custom(NOT_EXPECTED))
    }
}

/// Reads one attribute value at a depth, counted from 1; after a problem it gives just any value.
struct ValueSeed<'p> {
    problems: &'p mut Problems,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = AttributeValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.depth > NESTING_DEPTH_MAX {
            // Ignoring needs no recursion, so that a body of brackets only can't exhaust the stack.
            IgnoredAny::deserialize(deserializer)?;
            self.problems.add_too_deep();
            return Ok(AttributeValue::Null);
        }
        let problems = self.problems;
        let visitor = ValueVisitor { problems: &mut *problems, depth: self.depth };
        Ok(deserializer.deserialize_any(visitor)?.unwrap_or_else(|| {
            problems.add(|| EMPTY_VALUE.to_owned());
            AttributeValue::Null
        }))
    }
}

struct ValueVisitor<'p> {
    problems: &'p mut Problems,
    depth: usize,
}

impl<'de> Visitor<'de> for ValueVisitor<'_> {
    type Value = Option<AttributeValue>;

    refuse_scalars!(Shape::Value);

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(Shape::Value.array())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut found: Option<AttributeValue> = None;
        while let Some(letter) = access.next_key_seed(TypeSeed)? {
            let Some(letter) = letter else {
                access.next_value::<IgnoredAny>()?;
                continue;
            };
            if let Some(value) = read_member(letter, &mut access, self.problems, self.depth)? {
                if found.as_ref().is_some_and(|before| before.type_name() != value.type_name()) {
                    self.problems.add(|| SEVERAL_TYPES.to_owned());
                }
                found = Some(value);
            }
        }
        Ok(found)
    }
}

#[derive(Clone, Copy)]
enum Type {
    S,
    N,
    B,
    Bool,
    Null,
    M,
    L,
    Ss,
    Ns,
    Bs,
}

/// Reads the letter of a type; none for anything else, which DynamoDB leaves aside.
struct TypeSeed;

impl<'de> DeserializeSeed<'de> for TypeSeed {
    type Value = Option<Type>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for TypeSeed {
    type Value = Option<Type>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a type")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(match text {
            "S" => Type::S,
            "N" => Type::N,
            "B" => Type::B,
            "BOOL" => Type::Bool,
            "NULL" => Type::Null,
            "M" => Type::M,
            "L" => Type::L,
            "SS" => Type::Ss,
            "NS" => Type::Ns,
            "BS" => Type::Bs,
            _ => return Ok(None),
        }))
    }
}

fn read_member<'de, A: MapAccess<'de>>(
    letter: Type,
    access: &mut A,
    problems: &mut Problems,
    depth: usize,
) -> Result<Option<AttributeValue>, A::Error> {
    Ok(match letter {
        Type::S => access.next_value_seed(MemberSeed::<String>::new())?.map(AttributeValue::S),
        Type::N => access
            .next_value_seed(MemberSeed::<MaybeNumber>::new())?
            .map(|number| AttributeValue::N(number.or_problem(problems))),
        Type::B => access.next_value_seed(MemberSeed::<Blob>::new())?.map(|blob| AttributeValue::B(blob.0.into())),
        Type::Bool => access.next_value_seed(MemberSeed::<bool>::new())?.map(AttributeValue::Bool),
        Type::Null => access.next_value_seed(MemberSeed::<bool>::new())?.map(|value| {
            if !value {
                problems.add(|| format!("{INVALID} Null attribute value types must have the value of true"));
            }
            AttributeValue::Null
        }),
        Type::M => access.next_value_seed(MapSeed { problems, depth })?.map(AttributeValue::M),
        Type::L => access.next_value_seed(ElementsSeed { problems, depth })?.map(AttributeValue::L),
        Type::Ss => access.next_value_seed(ListSeed::<String>::new())?.map(|members| string_set(members, problems)),
        Type::Ns => access.next_value_seed(ListSeed::<MaybeNumber>::new())?.map(|members| {
            let members = members.into_iter().map(|number| number.or_problem(problems)).collect();
            number_set(members, problems)
        }),
        Type::Bs => access.next_value_seed(ListSeed::<Blob>::new())?.map(|members| {
            let members = members.into_iter().map(|blob| Bytes::from(blob.0)).collect();
            binary_set(members, problems)
        }),
    })
}

/// A number, or why it isn't one: a string of the right shape with a wrong value in it.
struct MaybeNumber(Result<Number, Box<Problem>>);

impl MaybeNumber {
    fn or_problem(self, problems: &mut Problems) -> Number {
        self.0.unwrap_or_else(|problem| {
            problems.first.get_or_insert(*problem);
            Number::ZERO
        })
    }
}

impl Member<'_> for MaybeNumber {
    const NAME: &'static str = String::NAME;
    const CLASS: &'static str = String::CLASS;

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        Ok(Self(Number::parse(text).map_err(|error| {
            let before = Number::refused_as_big_decimal(text);
            Box::new(Problem { message: error.message, before: Some(before) })
        })))
    }

    fn is_refused(&self) -> bool {
        self.0.is_err()
    }
}

fn string_set(mut members: Vec<String>, problems: &mut Problems) -> AttributeValue {
    if !problems.keep_set(members.len()) {
        return AttributeValue::Ss(Vec::new());
    }
    if members.is_empty() {
        problems.add(|| format!("{INVALID} An string set  may not be empty"));
    }
    if let Some(Repeated { as_sent, shown }) = sort_or_repeated(&mut members) {
        let quoted: Vec<_> = shown.iter().map(|member| quoted(member)).collect();
        let told = |members: String| format!("{INVALID} Input collection [{members}] contains duplicates.");
        problems.add_with_before(told(quoted.join(", ")), told(as_sent.join(", ")));
    }
    AttributeValue::Ss(members)
}

fn number_set(mut members: Vec<Number>, problems: &mut Problems) -> AttributeValue {
    if !problems.keep_set(members.len()) {
        return AttributeValue::Ns(Vec::new());
    }
    if members.is_empty() {
        problems.add(|| format!("{INVALID} An number set  may not be empty"));
    }
    if sort_or_repeated(&mut members).is_some() {
        let before = "Input collection contains duplicates";
        problems.add_with_before(format!("{INVALID} {before}."), before.to_owned());
    }
    AttributeValue::Ns(members)
}

fn binary_set(mut members: Vec<Bytes>, problems: &mut Problems) -> AttributeValue {
    if !problems.keep_set(members.len()) {
        return AttributeValue::Bs(Vec::new());
    }
    if members.is_empty() {
        problems.add(|| format!("{INVALID} Binary sets should not be empty"));
    }
    if let Some(Repeated { as_sent, shown }) = sort_or_repeated(&mut members) {
        let quoted: Vec<_> = shown.iter().map(|member| format!("\"{}\"", STANDARD.encode(member))).collect();
        let as_sent: Vec<_> = as_sent.iter().map(|member| STANDARD.encode(member)).collect();
        let told = |members: String| format!("{INVALID} Input collection [{members}]of type BS contains duplicates.");
        problems.add_with_before(told(quoted.join(",")), told(as_sent.join(", ")));
    }
    AttributeValue::Bs(members)
}

/// A set's members of which two are equal.
struct Repeated<T> {
    as_sent: Vec<T>,
    /// In the order of DynamoDB's message: those before the first repeat sorted, then it, then the others as they came.
    shown: Vec<T>,
}

/// Sorts a set's members, and gives them back where two are equal.
fn sort_or_repeated<T: Ord + Clone>(members: &mut [T]) -> Option<Repeated<T>> {
    if members.is_sorted_by(|a, b| a < b) {
        return None;
    }
    let as_sent = members.to_vec();
    members.sort_unstable();
    if members.is_sorted_by(|a, b| a < b) {
        return None;
    }
    let mut seen = BTreeSet::new();
    let repeat = as_sent.iter().position(|member| !seen.insert(member))?;
    let shown = seen.into_iter().chain(&as_sent[repeat..]).cloned().collect();
    Some(Repeated { as_sent, shown })
}

fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    super::write_string(text, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

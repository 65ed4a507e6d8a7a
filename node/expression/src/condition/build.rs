//! Conditions out of their parts, and what DynamoDB refuses in those: what every language's parser ends with.

use super::{Comparator, Condition, Operand, order};
use crate::{
    Path,
    cursor::{Faults, note},
    parser::{misused, unknown_function, wrong_operand_count, wrong_operand_type},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use cairn_model::{AttributeValue, limits::IN_OPERANDS_MAX};

/// In the order in which DynamoDB lists them (measured in eu-west-2, 2026).
const TYPE_NAMES: [&str; 10] = ["N", "BS", "L", "B", "NULL", "M", "S", "SS", "NS", "BOOL"];
/// What DynamoDB calls an operand that may be of any type (as there; in what order differs from host to host).
const ANY_TYPE: &str =
    "{S,HDS,N,FS,BS,NULL,DOUBLE,NS,DECIMAL,SS,DECIMALSET,BOOL,HD,DICT,INTSET,M,L,B,FLOAT,INT,DOUBLESET}";

/// What stands in an operand's place: an operand, or a function that can only be a condition of its own.
pub(crate) enum Term {
    Operand(Operand),
    Condition(&'static str, Condition),
}

/// Of the faults of one comparison the first by kind counts, and of all comparisons the first.
pub(crate) fn close_condition(faults: &mut Faults) {
    if faults.condition.is_none() {
        faults.condition = faults
            .name
            .take()
            .or(faults.value.take())
            .or(faults.operand.take())
            .or(faults.distinct.take())
            .or(faults.function.take());
    }
}

pub(crate) fn compared(left: Term, comparator: Comparator, right: Term, faults: &mut Faults) -> Condition {
    let (left, right) = (operand_of(left, faults), operand_of(right, faults));
    if let (Operand::Path(one), Operand::Path(other)) = (&left, &right) {
        check_distinct(comparator.symbol(), one, other, faults);
    }
    if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
        check_ordered(comparator.symbol(), [&left, &right], faults);
    }
    Condition::Compare(left, comparator, right)
}

pub(crate) fn between(operand: Term, low: Term, high: Term, faults: &mut Faults) -> Condition {
    let [operand, low, high] = [operand, low, high].map(|term| operand_of(term, faults));
    check_apart("BETWEEN", &operand, [&low, &high], faults);
    check_ordered("BETWEEN", [&operand, &low, &high], faults);
    check_between(&low, &high, faults);
    Condition::Between(operand, low, high)
}

/// `IN`.
pub(crate) fn one_of(operand: Term, candidates: Vec<Term>, faults: &mut Faults) -> Condition {
    let count = candidates.len();
    let operand = operand_of(operand, faults);
    let candidates: Vec<Operand> = candidates.into_iter().map(|term| operand_of(term, faults)).collect();
    let are_apart = check_apart("IN", &operand, &candidates, faults);
    if are_apart && count > IN_OPERANDS_MAX {
        note(&mut faults.operand, || {
            format!("The IN operator is provided with too many operands; number of operands: {count}")
        });
    }
    Condition::In(operand, candidates)
}

/// A term that nothing is compared with; none where it says nothing by itself.
pub(crate) fn alone(term: Term, faults: &mut Faults) -> Option<Condition> {
    match term {
        Term::Condition(_, condition) => Some(condition),
        Term::Operand(operand @ Operand::Size(_)) => {
            note(&mut faults.misused_function, || misused("size"));
            Some(Condition::In(operand, Vec::new()))
        }
        Term::Operand(_) => None,
    }
}

fn operand_of(term: Term, faults: &mut Faults) -> Operand {
    match term {
        Term::Operand(operand) => operand,
        Term::Condition(name, _) => {
            note(&mut faults.misused_function, || misused(name));
            Operand::Value(AttributeValue::Null)
        }
    }
}

/// A call with its operands; after a fault it is just any condition.
pub(crate) fn function(name: &str, operands: Vec<Term>, faults: &mut Faults) -> Term {
    let operands: Vec<Operand> = operands.into_iter().map(|term| operand_of(term, faults)).collect();
    let (name, expected) = match name {
        "attribute_exists" => ("attribute_exists", 1),
        "attribute_not_exists" => ("attribute_not_exists", 1),
        "attribute_type" => ("attribute_type", 2),
        "begins_with" => ("begins_with", 2),
        "contains" => ("contains", 2),
        "size" => ("size", 1),
        _ => {
            note(&mut faults.unknown_function, || unknown_function(name, "a condition"));
            return Term::Operand(Operand::Size(Box::new(Operand::Value(AttributeValue::Null))));
        }
    };
    let count = operands.len();
    if count != expected {
        note(&mut faults.operand, || wrong_operand_count(name, count));
    }
    if let [Operand::Path(one), Operand::Path(other)] = operands.as_slice() {
        check_distinct(name, one, other, faults);
    }
    let mut operands = operands.into_iter();
    let absent = || Operand::Value(AttributeValue::Null);
    let (first, second) = (operands.next().unwrap_or_else(absent), operands.next().unwrap_or_else(absent));
    if count != expected {
        return if name == "size" {
            Term::Operand(Operand::Size(Box::new(first)))
        } else {
            Term::Condition(name, Condition::Contains(first, second))
        };
    }
    Term::Condition(
        name,
        match (name, first) {
            ("attribute_exists", Operand::Path(path)) => Condition::AttributeExists(path),
            ("attribute_not_exists", Operand::Path(path)) => Condition::AttributeNotExists(path),
            ("attribute_exists" | "attribute_not_exists", first) => {
                note(&mut faults.function, || {
                    format!("Operator or function requires a document path; operator or function: {name}")
                });
                Condition::Contains(first, second)
            }
            ("attribute_type", first) => Condition::AttributeType(first, type_operand(name, second, faults)),
            ("begins_with", first) => {
                for found in [&first, &second].into_iter().filter_map(static_type) {
                    if !matches!(found, "S" | "B") {
                        note(&mut faults.function, || wrong_operand_type(name, found));
                    }
                }
                Condition::BeginsWith(first, second)
            }
            ("size", first) => {
                if let Some(found @ ("N" | "BOOL" | "NULL")) = static_type(&first) {
                    note(&mut faults.function, || wrong_operand_type(name, found));
                }
                return Term::Operand(Operand::Size(Box::new(first)));
            }
            (_, first) => Condition::Contains(first, second),
        },
    )
}

/// The second operand of `attribute_type`, which must be the name of a type.
fn type_operand(name: &str, operand: Operand, faults: &mut Faults) -> String {
    match operand {
        Operand::Value(AttributeValue::S(text)) => {
            if !TYPE_NAMES.contains(&text.as_str()) {
                note(&mut faults.function, || {
                    format!(
                        "Invalid attribute type name found; type: {text}, valid types: {{{}}}",
                        TYPE_NAMES.join(",")
                    )
                });
            }
            text
        }
        other => {
            let found = static_type(&other).unwrap_or(ANY_TYPE);
            note(&mut faults.function, || wrong_operand_type(name, found));
            String::new()
        }
    }
}

/// The type of an operand that does not depend on the item.
fn static_type(operand: &Operand) -> Option<&'static str> {
    match operand {
        Operand::Value(value) => Some(value.type_name()),
        Operand::Path(_) => None,
        Operand::Size(_) => Some("N"),
        Operand::Truth(_) => Some("BOOL"),
    }
}

fn check_distinct(operator: &str, one: &Path, other: &Path, faults: &mut Faults) {
    if one == other {
        note(&mut faults.distinct, || {
            format!(
                "The first operand must be distinct from the remaining operands for this operator or function; \
                 operator: {operator}, first operand: {one}"
            )
        });
    }
}

/// Whether no other operand is the path that the first is.
fn check_apart<'o>(
    operator: &str,
    first: &Operand,
    others: impl IntoIterator<Item = &'o Operand>,
    faults: &mut Faults,
) -> bool {
    let Operand::Path(path) = first else { return true };
    let is_met = others.into_iter().any(|other| other == first);
    if is_met {
        check_distinct(operator, path, path, faults);
    }
    !is_met
}

fn check_ordered<const N: usize>(operator: &str, operands: [&Operand; N], faults: &mut Faults) {
    for found in operands.into_iter().filter_map(static_type) {
        if !matches!(found, "S" | "N" | "B") {
            note(&mut faults.function, || wrong_operand_type(operator, found));
        }
    }
}

fn check_between(low: &Operand, high: &Operand, faults: &mut Faults) {
    let (Operand::Value(low), Operand::Value(high)) = (low, high) else { return };
    let problem = if low.type_name() != high.type_name() {
        "same data type for lower and upper bounds"
    } else if order(low, high).is_some_and(std::cmp::Ordering::is_gt) {
        "upper bound to be greater than or equal to lower bound"
    } else {
        return;
    };
    note(&mut faults.function, || {
        format!(
            "The BETWEEN operator requires {problem}; lower bound operand: AttributeValue: {{{}}}, upper bound operand: \
             AttributeValue: {{{}}}",
            shown(low),
            shown(high)
        )
    });
}

/// A bound as DynamoDB's messages show it: type and value.
fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => format!("S:{text}"),
        AttributeValue::N(number) => format!("N:{number}"),
        AttributeValue::B(bytes) => format!("B:{}", STANDARD.encode(bytes)),
        AttributeValue::Bool(value) => format!("BOOL:{value}"),
        AttributeValue::Null => "NULL:true".to_owned(),
        other => format!("{}:…", other.type_name()),
    }
}

//! `ExpressionAttributeNames` and `ExpressionAttributeValues`.

use cairn_model::{
    AttributeValue, Item, ServiceError,
    limits::{ATTRIBUTE_NAME_BYTES_MAX, PLACEHOLDER_BYTES_MAX, SUBSTITUTION_BYTES_MAX},
    size,
};
use std::collections::BTreeMap;

/// The substitutions of one request, and which of them its expressions used.
#[derive(Clone, Debug, Default)]
pub struct Placeholders {
    names: BTreeMap<String, Substitution<String>>,
    values: BTreeMap<String, Substitution<AttributeValue>>,
    placed_bytes: usize,
}

/// Bytes that are put in the place of placeholders, each as often as it is used: four kilobytes of an expression have room for a
/// thousand of one that stands for megabytes. What fits an item, or is compared with one, is far below this.
const PLACED_BYTES_MAX: usize = 8 * SUBSTITUTION_BYTES_MAX;

#[derive(Clone, Debug)]
struct Substitution<T> {
    stands_for: T,
    used: bool,
}

impl Placeholders {
    /// Checks the placeholders' own syntax. None is a parameter that was left out.
    pub fn new(names: Option<BTreeMap<String, String>>, values: Option<Item>) -> Result<Self, ServiceError> {
        let mut bytes = 0;
        if let Some(names) = &names {
            check_keys("ExpressionAttributeNames", '#', names.keys())?;
            if let Some((key, _)) = names.iter().find(|(_, name)| name.is_empty()) {
                return Err(ServiceError::validation(format!(
                    "ExpressionAttributeNames contains invalid value: Empty attribute name for key {key}"
                )));
            }
            if let Some((key, _)) = names.iter().find(|(_, name)| name.len() > ATTRIBUTE_NAME_BYTES_MAX) {
                return Err(ServiceError::validation(format!(
                    "ExpressionAttributeNames contains invalid value: An attribute name has exceeded the maximum size of \
                     {ATTRIBUTE_NAME_BYTES_MAX} bytes for key {key}"
                )));
            }
            bytes += names.iter().map(|(key, name)| key.len() + name.len()).sum::<usize>();
        }
        if let Some(values) = &values {
            check_keys("ExpressionAttributeValues", ':', values.keys())?;
            bytes += size::item_size(values);
        }
        if bytes > SUBSTITUTION_BYTES_MAX {
            return Err(ServiceError::validation(
                "ExpressionAttributeNames and ExpressionAttributeValues have exceeded the maximum allowed size",
            ));
        }
        let names = names.unwrap_or_default().into_iter().map(unused).collect();
        let values = values.unwrap_or_default().into_iter().map(unused).collect();
        Ok(Self { names, values, placed_bytes: 0 })
    }

    /// Fails where one was not used; to be called once every expression is parsed.
    pub fn finish(self) -> Result<(), ServiceError> {
        check_used("ExpressionAttributeNames", &self.names)?;
        check_used("ExpressionAttributeValues", &self.values)
    }

    pub(crate) fn name(&mut self, placeholder: &str) -> Result<String, String> {
        let Some(name) = resolve(&mut self.names, placeholder) else {
            return Err(format!(
                "An expression attribute name used in the document path is not defined; attribute name: {placeholder}"
            ));
        };
        place(&mut self.placed_bytes, name.len())?;
        Ok(name.clone())
    }

    pub(crate) fn value(&mut self, placeholder: &str) -> Result<AttributeValue, String> {
        let Some(value) = resolve(&mut self.values, placeholder) else {
            return Err(format!(
                "An expression attribute value used in expression is not defined; attribute value: {placeholder}"
            ));
        };
        place(&mut self.placed_bytes, size::value_size(value))?;
        Ok(value.clone())
    }
}

fn place(placed_bytes: &mut usize, bytes: usize) -> Result<(), String> {
    *placed_bytes += bytes;
    if *placed_bytes > PLACED_BYTES_MAX {
        return Err(format!(
            "What the placeholders stand for, each as often as it is used, has exceeded the maximum allowed size; \
             maximum size: {PLACED_BYTES_MAX}"
        ));
    }
    Ok(())
}

fn unused<T>((key, stands_for): (String, T)) -> (String, Substitution<T>) {
    (key, Substitution { stands_for, used: false })
}

fn resolve<'s, T>(substitutions: &'s mut BTreeMap<String, Substitution<T>>, placeholder: &str) -> Option<&'s T> {
    let substitution = substitutions.get_mut(placeholder)?;
    substitution.used = true;
    Some(&substitution.stands_for)
}

fn check_keys<'a>(
    parameter: &str,
    mark: char,
    mut keys: impl ExactSizeIterator<Item = &'a String>,
) -> Result<(), ServiceError> {
    if keys.len() == 0 {
        return Err(ServiceError::validation(format!("{parameter} must not be empty")));
    }
    keys.try_for_each(|key| {
        let name = key.strip_prefix(mark).unwrap_or_default();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(ServiceError::validation(format!(
                "{parameter} contains invalid key: Syntax error; key: \"{key}\""
            )));
        }
        if key.len() > PLACEHOLDER_BYTES_MAX {
            return Err(ServiceError::validation(format!(
                "{parameter} contains invalid key: The key has exceeded the maximum allowed size of \
                 {PLACEHOLDER_BYTES_MAX} bytes; key: \"{key}\""
            )));
        }
        Ok(())
    })
}

fn check_used<T>(parameter: &str, substitutions: &BTreeMap<String, Substitution<T>>) -> Result<(), ServiceError> {
    let unused: Vec<_> =
        substitutions.iter().filter(|(_, substitution)| !substitution.used).map(|(key, _)| key.as_str()).collect();
    if unused.is_empty() {
        return Ok(());
    }
    Err(ServiceError::validation(format!(
        "Value provided in {parameter} unused in expressions: keys: {{{}}}",
        unused.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, ExpressionKind, testing::item};

    fn names(names: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
        Some(names.iter().map(|(key, name)| ((*key).to_owned(), (*name).to_owned())).collect())
    }

    fn refused(names: Option<BTreeMap<String, String>>, values: Option<&str>) -> String {
        Placeholders::new(names, values.map(item)).unwrap_err().message
    }

    #[test]
    fn placeholders_of_a_wrong_form_are_refused_in_dynamodbs_words() {
        assert_eq!(refused(names(&[]), None), "ExpressionAttributeNames must not be empty");
        assert_eq!(refused(None, Some("{}")), "ExpressionAttributeValues must not be empty");
        assert_eq!(
            refused(names(&[("a", "a")]), None),
            "ExpressionAttributeNames contains invalid key: Syntax error; key: \"a\""
        );
        assert_eq!(
            refused(None, Some(r#"{":a-b":{"S":"a"}}"#)),
            "ExpressionAttributeValues contains invalid key: Syntax error; key: \":a-b\""
        );
        assert_eq!(
            refused(names(&[("#a", "")]), None),
            "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a"
        );
    }

    #[test]
    fn placeholders_are_bounded() {
        assert!(Placeholders::new(names(&[(&format!("#{}", "a".repeat(254)), "a")]), None).is_ok());
        assert!(Placeholders::new(names(&[(&format!("#{}", "a".repeat(255)), "a")]), None).is_err());
        let name = "a".repeat(65_535);
        assert!(Placeholders::new(names(&[("#a", &name)]), None).is_ok());
        assert!(Placeholders::new(names(&[("#a", &format!("{name}a"))]), None).is_err());
        let value = |bytes: usize| format!(r#"{{":x":{{"S":"{}"}}}}"#, "a".repeat(bytes));
        assert!(Placeholders::new(None, Some(item(&value(2 * 1024 * 1024 - 2)))).is_ok());
        assert!(Placeholders::new(None, Some(item(&value(2 * 1024 * 1024)))).is_err());
    }

    #[test]
    fn what_is_put_in_the_place_of_placeholders_is_bounded_however_often_they_are_used() {
        let value = item(&format!(r#"{{":x":{{"S":"{}"}}}}"#, "a".repeat(1024 * 1024)));
        let mut placeholders = Placeholders::new(None, Some(value)).unwrap();
        let placed = (0..1_000).take_while(|_| placeholders.value(":x").is_ok()).count();
        assert_eq!(placed, 16);
        let long = "a".repeat(60_000);
        let mut placeholders = Placeholders::new(names(&[("#a", &long)]), None).unwrap();
        assert!((0..1_000).take_while(|_| placeholders.name("#a").is_ok()).count() < 300);
    }

    #[test]
    fn placeholders_that_no_expression_used_are_told() {
        let all = || {
            let values = item(r#"{":x":{"S":"a"},":y":{"S":"a"},":z":{"S":"a"}}"#);
            Placeholders::new(names(&[("#a", "a"), ("#b", "b")]), Some(values)).unwrap()
        };
        let mut placeholders = all();
        Condition::parse("#a = :y AND #b = :y", ExpressionKind::Filter, &mut placeholders).unwrap();
        assert_eq!(
            placeholders.finish().unwrap_err().message,
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:x, :z}"
        );
        assert_eq!(
            all().finish().unwrap_err().message,
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a, #b}"
        );
    }
}

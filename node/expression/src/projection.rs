//! Projection expressions.

use crate::{
    Path, Placeholders,
    parser::{Parser, Syntax},
    path::{find_clash, project},
    token::TokenKind,
};
use cairn_model::{Item, ServiceError};
use serde::{Deserialize, Serialize};

/// A projection with its names in place: paths in ascending order, none within another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    paths: Vec<Path>,
}

impl Projection {
    pub fn parse(text: &str, placeholders: &mut Placeholders) -> Result<Self, ServiceError> {
        let mut parser = Parser::new("ProjectionExpression", text, placeholders)?;
        let parsed = paths(&mut parser);
        let paths = parser.finish(parsed, |paths, faults| {
            let clash = find_clash(paths.iter());
            faults.reserved.take().or(faults.name.take()).or(faults.path.take()).or(clash)
        })?;
        Ok(Self::of(paths))
    }

    /// A projection to top-level attributes.
    pub fn of_names(names: impl IntoIterator<Item = String>) -> Self {
        Self::of(names.into_iter().map(Path::new).collect())
    }

    /// What lies at the paths in an item.
    pub fn project(&self, item: &Item) -> Item {
        project(&self.paths, item)
    }

    /// The paths, in ascending order.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    fn of(mut paths: Vec<Path>) -> Self {
        paths.sort_unstable();
        Self { paths }
    }
}

fn paths(parser: &mut Parser<'_>) -> Result<Vec<Path>, Syntax> {
    let mut paths = vec![parser.path()?];
    while parser.take(TokenKind::Comma) {
        paths.push(parser.path()?);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{SOUP, item, placeholders};
    use proptest::prelude::*;

    fn projected(text: &str, json: &str) -> Item {
        Projection::parse(text, &mut placeholders()).unwrap().project(&item(json))
    }

    fn refused(text: &str) -> String {
        let error = Projection::parse(text, &mut placeholders()).unwrap_err();
        error.message.strip_prefix("Invalid ProjectionExpression: ").unwrap().to_owned()
    }

    const ITEM: &str = r#"{"a":{"S":"x"},"b":{"M":{"c":{"N":"1"},"d":{"N":"2"}}},
        "l":{"L":[{"M":{"a":{"N":"1"},"b":{"N":"2"}}},{"N":"3"},{"L":[{"N":"4"},{"N":"5"}]}]}}"#;

    #[test]
    fn maps_keep_their_shape_and_lists_hold_what_was_asked_for() {
        for (text, expected) in [
            ("a, gone, a1.b", r#"{"a":{"S":"x"}}"#),
            ("b.d", r#"{"b":{"M":{"d":{"N":"2"}}}}"#),
            ("b.#c, #b.d", r#"{"b":{"M":{"c":{"N":"1"},"d":{"N":"2"}}}}"#),
            ("l[1], l[0].b, l[0].a", r#"{"l":{"L":[{"M":{"a":{"N":"1"},"b":{"N":"2"}}},{"N":"3"}]}}"#),
            ("l[2][1], l[2][0]", r#"{"l":{"L":[{"L":[{"N":"4"},{"N":"5"}]}]}}"#),
            ("l[0].a, l[2][1]", r#"{"l":{"L":[{"M":{"a":{"N":"1"}}},{"L":[{"N":"5"}]}]}}"#),
            ("l[7], a.b, b[0]", "{}"),
        ] {
            assert_eq!(projected(text, ITEM), item(expected), "{text}");
        }
    }

    #[test]
    fn faults_are_told_in_dynamodbs_words() {
        for (text, message) in [
            ("", "The expression can not be empty;"),
            ("a,", "Syntax error; token: \"<EOF>\", near: \",\""),
            ("a b", "Syntax error; token: \"b\", near: \"a b\""),
            ("a, size", "Attribute name is a reserved keyword; reserved keyword: size"),
            (
                "#undefined",
                "An expression attribute name used in the document path is not defined; attribute name: #undefined",
            ),
            (
                "a.b, a",
                "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: \
                 [a, b], path two: [a]",
            ),
            (
                "a.b, a[1]",
                "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: \
                 [a, b], path two: [a, [1]]",
            ),
        ] {
            assert_eq!(refused(text), message, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in SOUP) {
            if let Ok(projection) = Projection::parse(&text, &mut placeholders()) {
                projection.project(&item(ITEM));
            }
        }
    }
}

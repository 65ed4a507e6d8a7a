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

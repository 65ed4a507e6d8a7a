//! Why the tables of two regions must not be joined: a deletion that one of them acknowledged would be undone.

use serde::{Deserialize, Serialize};

/// Nothing is taken from the other side, and nothing shipped to it, until one of the tables is made anew: that is not a
/// failure that passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NotEmpty {
    #[error(
        "both regions' tables held items before they were joined: delete the table in region {region:?} or the one here, and \
         make it anew; empty, it gets what the other has"
    )]
    BothHeldItems { region: String },
    #[error(
        "the table in region {region:?} was taken out of the members, or was not global for a while, and comes back with what \
         it had: delete it there and make it anew; empty, it gets what the others have"
    )]
    ComesBack { region: String },
}

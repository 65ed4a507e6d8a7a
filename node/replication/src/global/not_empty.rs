//! Why the tables of two regions must not be joined: a deletion that one of them acknowledged would be undone.

use serde::{Deserialize, Serialize};

/// Nothing is taken from the other region, and nothing shipped to it, until one of the tables is made anew: this does not
/// pass by itself. The region is the other one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NotEmpty {
    #[error(
        "the table here and the one in region {region:?} both held items before they were joined: delete one of them and make \
         it anew; empty, it gets what the other has"
    )]
    BothHeldItems { region: String },
    #[error(
        "the table here and the one in region {region:?} were joined before and then parted, and what one has deleted since \
         would come back from the other: delete the one that is to take over the other's items, and make it anew"
    )]
    Parted { region: String },
    #[error(
        "of the table here and the one in region {region:?} one has items of region {gone:?}, which had been taken out of the \
         other's members: delete the one that is to take over the other's items, and make it anew"
    )]
    OfOneGone { region: String, gone: String },
}

//! Memory that requests share: how much there is, who holds which part of it, and who has to wait.

pub(crate) mod budget;
mod limits;
mod room;

pub use limits::Limits;
pub(crate) use limits::waiting_max;
pub use room::Room;

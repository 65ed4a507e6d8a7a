//! Memory that requests share: how much there is, who holds which part of it, and who has to wait.

pub(crate) mod budget;
mod limits;
mod room;

pub(crate) use limits::HTTP2_CONNECTIONS;
pub use limits::Limits;
pub(crate) use room::PATIENCE as ROOM_PATIENCE;
pub use room::Room;

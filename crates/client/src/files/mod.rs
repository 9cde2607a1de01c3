//! Files from one user to another.

pub mod disk;
pub mod message;
pub mod name;
pub mod piece;
pub mod request;

#![doc = include_str!("../README.md")]

mod connection;
mod error;
mod follow;
mod host;
mod results;
mod retry;
mod service;
pub mod types;
mod vote;
mod voter;

pub use error::{Error, Problem};
pub use follow::{Follow, Update};
pub use host::HostClient;
pub use results::ResultClient;
pub use retry::Retry;
pub use vote::VoteClient;
pub use voter::{InvalidVoter, Voter};

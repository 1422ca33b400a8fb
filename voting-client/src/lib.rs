#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod connection;
mod error;
mod follow;
mod operator;
mod results;
mod retry;
mod service;
pub mod types;
mod vote;
mod voter;

pub use error::{Error, Problem};
pub use follow::{Follow, Update};
pub use operator::OperatorClient;
pub use results::ResultClient;
pub use retry::Retry;
pub use vote::VoteClient;
pub use voter::{InvalidVoter, Voter};

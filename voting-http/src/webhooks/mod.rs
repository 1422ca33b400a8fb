//! The rules of webhooks: how a message is signed, where it may be sent, when it is sent again.
//!
//! They are those of [Standard Webhooks](https://www.standardwebhooks.com) 1.0.0. Nothing here stores or sends.
//!
//! - [`Secret`] makes and reads secrets, and [`sign`] signs a message with one or several of them.
//! - [`Target`] is an endpoint's URL that may be used. [`Target::permitted`] says which of its addresses may be
//!   connected to, and [`Allowed`] is what an operator permits beside public addresses.
//! - [`Answer`] is what an endpoint's answer means, and [`wait`] says how long to wait before the next attempt.

mod address;
mod allowed;
mod answer;
mod schedule;
mod secret;
mod signature;
mod target;

pub use self::{
    address::is_public,
    allowed::{Allowed, InvalidAllowed},
    answer::Answer,
    schedule::{ATTEMPTS, MAX_WAIT, wait},
    secret::{InvalidSecret, Secret},
    signature::sign,
    target::{InvalidTarget, NotPermitted, Target},
};

//! Webhooks: events that are sent to programs as HTTP requests, by the rules of
//! [Standard Webhooks](https://www.standardwebhooks.com) 1.0.0.
//!
//! - [`Webhooks`] sends what is due, through a [`WebhookClient`] of the application.
//! - [`Secret`] makes and reads secrets, and [`sign`] signs a message with one or several of them.
//! - [`Target`] is an endpoint's URL that may be used. [`Target::permitted`] says which of its addresses may be
//!   connected to, and [`Allowed`] is what an operator permits beside public addresses.
//! - [`Answer`] is what an endpoint's answer means, and [`wait`] says how long to wait before the next attempt.

mod address;
mod allowed;
mod answer;
mod client;
mod schedule;
mod secret;
mod sender;
mod signature;
mod target;

pub use self::{
    address::is_public,
    allowed::{Allowed, InvalidAllowed},
    answer::Answer,
    client::{WebhookAnswer, WebhookClient, WebhookRequest},
    schedule::{ATTEMPTS, MAX_WAIT, wait},
    secret::{InvalidSecret, Secret},
    sender::Webhooks,
    signature::sign,
    target::{InvalidTarget, NotPermitted, Target},
};

//! The HTTP side of the voting system: APIs and pages over the traits of [`voting_core`].
//!
//! Three services, each a poem endpoint that can be served by [`serve()`] or mounted in an
//! application of your own, also under a prefix:
//!
//! - [`VoteService`]: the voting page and API. Needs a sink, polls and the secret.
//! - [`ResultService`]: the live result page and API. Needs tallies, polls and the secret.
//! - [`OperatorService`]: the operator's API. Needs the log, the store and a token. Polls that it says are
//!   to close are closed by [`voting_core::pipeline::closing::keep_advancing`], which some process must run.
//!
//! This crate knows no back end.

mod cache;
mod edge;
mod operator;
mod pages;
mod problem;
mod result;
mod server;
mod tokens;
mod views;
mod vote;

pub use self::{
    edge::{
        endpoint::ServiceEndpoint,
        identity::{Identify, NoVoter, RequestHead, SetByApplication, Voter},
        strict_json::OnceJson,
        unfit::Unfit,
    },
    operator::{OperatorService, OperatorServiceBuilder},
    pages::site::{InvalidPublicUrl, PeerLink, PublicUrl, Site},
    problem::WhyNotReady,
    result::{ResultService, ResultServiceBuilder},
    server::{
        gate::{
            Gate, Limits,
            client_address::{InvalidProxy, TrustedProxies},
        },
        options::Exposed,
        serve::{ServeOptions, serve},
        tower::{HttpService, PeerAddress},
    },
    tokens::{receipt_key::ReceiptKey, signed::InvalidToken},
    vote::{VoteService, VoteServiceBuilder},
};
#[doc(no_inline)]
pub use async_trait::async_trait;

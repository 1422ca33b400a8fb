//! The HTTP side of the voting system: APIs and pages over the traits of [`voting_core`].
//!
//! Three services, each a poem endpoint that can be served by [`serve()`] or mounted in an
//! application of your own, also under a prefix:
//!
//! - [`VoteService`]: the voting page and API. Needs a sink, polls and the secret.
//! - [`ResultService`]: the live result page and API. Needs tallies, polls and the secret.
//! - [`WorkerService`]: the operator's API. Needs the log, the store and a token. Polls that it says are
//!   to close are closed by [`voting_core::pipeline::closing::keep_advancing`], which some process must run.
//!
//! This crate knows no back end.

mod accept;
mod api_routes;
mod assets;
mod body_limit;
mod client_address;
mod compression;
mod document;
mod failures;
mod front;
mod gate;
mod health;
mod host;
mod live;
mod methods;
mod metrics;
mod operator;
mod poll_list;
mod polls;
mod preview;
mod problem;
mod problem_kind;
mod reason_view;
mod receipt_key;
mod result;
mod same_site;
mod sealing;
mod security_headers;
mod seldom;
mod serve;
mod single;
mod site;
mod strict_json;
mod tally_view;
mod token;
mod traced;
mod trouble;
mod unfit;
mod views;
mod visitor;
mod vote;
mod voter_cookies;
mod worker;

pub use self::{
    client_address::{InvalidProxy, TrustedProxies},
    gate::{Gate, Limits},
    health::WhyNotReady,
    receipt_key::ReceiptKey,
    result::ResultService,
    serve::{ServeOptions, serve},
    site::{InvalidPublicUrl, PeerLink, PublicUrl, Site},
    strict_json::OnceJson,
    token::InvalidToken,
    unfit::Unfit,
    vote::VoteService,
    worker::{Pipeline, WorkerService},
};

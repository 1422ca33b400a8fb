#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cache;
mod edge;
pub mod export;
mod host;
mod operator;
mod pages;
mod problem;
mod result;
mod server;
mod texts;
mod theme;
mod tokens;
mod views;
mod vote;
pub mod webhooks;

pub use self::{
    edge::{
        endpoint::ServiceEndpoint,
        identity::{Identify, NoVoter, RequestHead, SetByApplication, Voter},
        strict_json::OnceJson,
        unfit::Unfit,
    },
    host::oidc::{HostLogins, ProviderClient},
    operator::{OperatorService, OperatorServiceBuilder},
    pages::site::{InvalidPublicUrl, PeerLink, PublicUrl, Site},
    problem::WhyNotReady,
    result::{ResultService, ResultServiceBuilder},
    server::{
        api_routes::Exposed,
        gate::{
            Gate, Limits, NewVoters, ProofOfWork,
            client_address::{InvalidProxy, TrustedProxies},
        },
        serve::{ServeOptions, serve},
        tower::{HttpService, PeerAddress},
    },
    theme::{InvalidTheme, Theme},
    tokens::{receipt_key::ReceiptKey, signed::InvalidToken},
    vote::{
        InvalidHeader, KeySource, Logins, ProxyLogins, TokenLogins, VoteService, VoteServiceBuilder,
    },
};
#[doc(no_inline)]
pub use async_trait::async_trait;
/// `stop` and [`serve`] take this type.
#[doc(no_inline)]
pub use tokio_util::sync::CancellationToken;

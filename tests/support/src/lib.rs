//! What tests run: the programs, services of them, and private Redis, Postgres and PgBouncer servers, on free
//! ports, in temporary folders, gone with the process that started them. A server that is already running is never
//! touched.
//!
//! Failures panic: a test cannot go on without its server.
//!
//! - Servers: [`RedisServer`], [`RedisCluster`], [`ReplicatedRedis`], [`PostgresServer`], [`PgBouncer`], with certificates of an
//!   [`Authority`]; of another [`Engine`] than the one that is installed; [`EtcdServer`].
//! - Services: [`Programs`] are what is built, a [`Program`] is one that runs, a [`Service`] is one that has an
//!   address, and a [`Deployment`] is Redis, Postgres and the services on them.
//! - Asking: [`agent`], [`get_json`] and the [`Operator`]'s API; [`await_that`], [`await_some`] and [`within`] ask
//!   until something holds.
//! - A [`Clock`] is one that is wrong.
//! - With the feature `oidc`, an identity provider at which people sign in.
//! - [`processes`] by their ids; with the feature `link`, the network between two of them.

mod clock;
mod cluster;
mod deployment;
mod etcd;
mod guard;
mod http;
#[cfg(feature = "link")]
pub mod link;
mod newer;
#[cfg(feature = "oidc")]
pub mod oidc;
mod pgbouncer;
mod postgres;
pub mod processes;
mod program;
mod programs;
#[cfg(feature = "provider")]
mod provider_key;
mod redis;
mod replicated;
mod service;
mod tls;
mod wait;

use std::path::Path;

#[cfg(feature = "provider")]
pub use self::provider_key::ProviderKey;
pub use self::{
    clock::Clock,
    cluster::RedisCluster,
    deployment::{CLAIM_TIMEOUT, Deployment},
    etcd::{EtcdServer, has_etcd},
    http::{Operator, agent, agent_within, get_json, get_json_by, is_ready, text_of},
    newer::{Engine, newer_stores},
    pgbouncer::PgBouncer,
    postgres::PostgresServer,
    program::Program,
    programs::{Programs, cargo, program},
    redis::RedisServer,
    replicated::{MASTER, ReplicatedRedis},
    service::{ENTRY_KEY, SECRET, Service, ServiceKind, TOKEN, common_settings},
    tls::Authority,
    wait::{LONG, await_some, await_that, within},
};

/// The root of the repository.
///
/// # Panics
/// This package was moved.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("tests/support")
}

/// A port of the loopback interface that nobody listens on.
fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its address").port()
}

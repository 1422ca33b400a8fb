//! What tests run: the programs, and private Redis, Postgres and PgBouncer servers, on free ports, in temporary
//! folders, gone with the process that started them. A server that is already running is never
//! touched.
//!
//! Failures panic: a test cannot go on without its server.

mod built;
mod cluster;
mod pgbouncer;
mod postgres;
mod process;
mod program;
mod redis;
mod tls;

use std::path::Path;

pub use self::{
    built::are_built, cluster::RedisCluster, pgbouncer::PgBouncer, postgres::PostgresServer,
    program::Program, redis::RedisServer, tls::Authority,
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

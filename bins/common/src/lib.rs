//! What the voting system's programs share: settings, secrets, signals, serving and stopping.

mod cli;
mod config;
mod program;
mod secrets;
mod services;
mod signals;
mod stores;
mod traces;

/// Threads that use the system's allocator wait for each other: under load that took two fifths of the
/// vote service's time (see docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use self::{
    cli::Cli,
    config::{Config, TraceSettings, cats_vs_dogs},
    program::{run, run_with},
    secrets::{Found, Hidden, Kept, SecretError, find},
    services::{Exit, Listener, Services, StartError, announce},
    stores::{StoreSettings, site},
};

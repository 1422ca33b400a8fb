//! What the voting system's programs share: settings, secrets, signals, serving and stopping.

mod cli;
mod config;
mod program;
mod secrets;
mod services;
mod signals;
mod stores;

pub use self::{
    cli::Cli,
    config::{Config, cats_vs_dogs},
    program::{run, run_with},
    secrets::{Found, Hidden, Kept, SecretError, find},
    services::{Exit, Listener, Services, StartError, announce},
    stores::{StoreSettings, site},
};

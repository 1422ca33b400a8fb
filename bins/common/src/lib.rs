//! What the voting system's programs share: settings, secrets, signals, serving and stopping.

mod cli;
mod config;
mod configured;
mod course;
mod healthcheck;
mod journal;
mod layers;
mod listen;
mod listener;
mod logging;
mod needs;
mod origins;
mod polls;
mod program;
mod readers;
mod reading;
mod room;
mod secrets;
mod services;
mod signals;
mod site;
mod stores;
mod supervisor;
mod traces;
mod typed;
mod weak;

/// Threads that use the system's allocator wait for each other: under load that took two fifths of the
/// vote service's time (see docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use self::{
    cli::Cli,
    config::{Config, TraceSettings},
    course::cats_vs_dogs,
    healthcheck::{NotReady, healthcheck, ready},
    listener::Listener,
    needs::{SecretUse, Service},
    origins::{Origin, Setting, with_origin},
    program::{check_config, run, run_with},
    readers::anybody_may_read,
    reading::Reading,
    room::{Fitted, Gates, open_files},
    secrets::{Found, Hidden, Kept, SecretError, find},
    services::{Exit, Services, StartError, announce},
    site::site,
    stores::StoreSettings,
};

//! What the voting system's programs share: settings, secrets, signals, serving and stopping.
//!
//! - `settings` reads the settings from all layers, checks them, and knows where each was set.
//! - `secrets` finds secrets and checks their strength. It does not depend on the settings.
//! - `stores` opens Redis and Postgres as the settings say.
//! - `runtime` starts, watches and stops services: from the command line to the exit code.

mod runtime;
mod secrets;
mod settings;
mod stores;

/// In the system's allocator, threads wait for each other: under load this took two fifths of the vote service's time
/// (see docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use self::{
    runtime::{
        capacity::{Fitted, Gates, open_files},
        cores::Cores,
        healthcheck::{NotReady, healthcheck, ready},
        listener::Listener,
        program::{check_config, run, run_with},
        services::{Exit, Services, StopOn, announce},
        site::{host_site, site},
        start_error::StartError,
    },
    secrets::{Hidden, Kept, ResolvedSecret, SecretError, anybody_may_read, resolve_secret},
    settings::{
        cli::Cli,
        config::{Config, TraceSettings},
        course::cats_vs_dogs,
        entry_keys::EntrySecrets,
        host_logins::HostLoginError,
        layers::Origin,
        load::LoadedSettings,
        logins::LoginError,
        polls::polls_of_text,
        provenance::{Setting, with_origin},
        requirements::SecretUse,
        service::Service,
        theme::ThemeError,
    },
    stores::StoreSettings,
};

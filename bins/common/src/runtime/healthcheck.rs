//! `--healthcheck`: asks the service that runs beside it, with the same settings, whether it is ready.
//!
//! For supervisors that can only run a program in the service's place, as Docker does: an image needs no
//! other client then.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use serde::Deserialize;
use ureq::{Agent, http::StatusCode};
use voting_core::error::in_one_line;

use crate::settings::{cli::Cli, config::Config};

/// A service that asks two stores may take twice two seconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is wrong with a service, as it says itself.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// Asks what runs with these settings whether it is ready, and says so in a line: ends with 0 if all of it is,
/// else with 1. `listens` tells where the services are.
pub fn healthcheck(
    name: &str,
    cli: &Cli,
    listens: impl FnOnce(&Config) -> Vec<SocketAddr>,
) -> ExitCode {
    let outcome = match Config::load(cli) {
        Ok(config) => listens(&config).into_iter().try_for_each(ask),
        Err(error) => Err(in_one_line(&error)),
    };
    match outcome {
        Ok(()) => {
            println!("{name}: ready");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("{name}: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn ask(listen: SocketAddr) -> Result<(), String> {
    if listen.port() == 0 {
        return Err("the service listens on any free port, so it cannot be asked".to_owned());
    }
    let url = format!("http://{}/", reachable(listen));
    ready(&url, TIMEOUT).map_err(|not| match not {
        NotReady::Silent(error) => format!("no answer from {url}readyz: {error}"),
        NotReady::Says(_, Some(detail)) => format!("not ready: {detail}"),
        NotReady::Says(status, None) => format!("{url}readyz answers {status}"),
    })
}

/// Why a service is not ready.
#[derive(Debug)]
pub enum NotReady {
    /// There was no answer, or not in time.
    Silent(String),
    /// The status that it answered with, and its reason if it gives one.
    Says(StatusCode, Option<String>),
}

/// Asks the service at this address whether it is ready. Waits for the answer.
///
/// # Errors
/// It is not.
pub fn ready(url: &str, timeout: Duration) -> Result<(), NotReady> {
    let url = format!("{}/readyz", url.trim_end_matches('/'));
    // Not through a proxy that the environment may name: it is on this machine, or near.
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    let asked = agent.get(&url).call();
    let mut answer = asked.map_err(|error| NotReady::Silent(in_one_line(&error)))?;
    if answer.status() == StatusCode::OK {
        return Ok(());
    }
    let body = answer.body_mut().read_to_string().unwrap_or_default();
    let problem = serde_json::from_str(&body).ok();
    let detail = problem.map(|Problem { detail }| detail);
    Err(NotReady::Says(answer.status(), detail))
}

/// Where this machine reaches a service that listens there.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (ip, listen.port()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_listens_everywhere_is_asked_on_loopback() {
        let of = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(of("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(of("[::]:8080"), "[::1]:8080");
        assert_eq!(of("192.0.2.7:8080"), "192.0.2.7:8080");
    }

    #[test]
    fn a_service_on_any_free_port_cannot_be_asked() {
        assert!(ask("127.0.0.1:0".parse().unwrap()).is_err());
    }
}

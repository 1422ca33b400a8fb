//! `--healthcheck`: asks the running service with the same settings whether it is ready.
//!
//! It is for supervisors that can only run a program inside the service's container, as Docker does. So an image
//! needs no HTTP client.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use serde::Deserialize;
use ureq::{Agent, http::StatusCode};
use voting_core::error::in_one_line;

use crate::settings::{cli::Cli, config::Config};

/// A service that asks two stores may need two seconds for each.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The problem document of a service that is not ready.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// Asks the services that run with these settings whether they are ready, and prints a line. Ends with 0 if all are
/// ready, otherwise with 1. `listens` says on which addresses the services listen.
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
    /// There was no answer in time.
    Silent(String),
    /// The status of the answer, and the reason in it, if there is one.
    Says(StatusCode, Option<String>),
}

/// Asks the service at this address whether it is ready. Waits for the answer.
///
/// # Errors
/// The service is not ready.
pub fn ready(url: &str, timeout: Duration) -> Result<(), NotReady> {
    let url = format!("{}/readyz", url.trim_end_matches('/'));
    // The request does not use a proxy from the environment, since the service is on this machine or near it.
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

/// The address at which this machine reaches a service that listens on `listen`.
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

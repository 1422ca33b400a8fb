//! The number of connections and streams of each service in a process: as the settings say, within the limit of open
//! files.

use std::time::Duration;

use voting_http::{Gate, Limits};

use crate::settings::{
    config::{Config, Web},
    service::Service,
};

/// Connections to the operator's API; few people use it.
const OPERATORS: usize = 1_000;

/// Files and sockets that a process needs besides its connections: stores, logs, and the sockets on which it listens.
const OTHERS: usize = 160;

/// Each service gets at least this many connections, even if the process may open only a few files.
const AT_LEAST: usize = 16;

/// The limits of each service. Only those of the services in the process are used.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Gates {
    /// The limits of the vote service.
    pub vote: Gate,
    /// The limits of the result service.
    pub result: Gate,
    /// The limits of the operator's API.
    pub worker: Gate,
}

/// The limits of one service within the limit of open files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// The service's section in the settings.
    pub section: &'static str,
    /// The number of connections in the settings.
    pub wanted: usize,
    /// Whether that is the default.
    pub by_default: bool,
    /// The number of connections that the limit of open files allows.
    pub max_connections: usize,
    limits: Limits,
}

impl Config {
    /// Raises the limit of open files as far as possible, and fits the services to it.
    pub fn gates(&self, service: Service) -> Gates {
        let files = raise_open_files();
        let mut gates = Gates::default();
        for fitted in self.fitted(service, files) {
            let Fitted {
                section,
                wanted,
                max_connections,
                ..
            } = fitted;
            if max_connections < wanted {
                let line = "the limit of open files is too low for max_connections; fewer connections are taken";
                if fitted.by_default {
                    tracing::info!(
                        service = section,
                        max_connections,
                        open_files = files,
                        "{line}"
                    );
                } else {
                    tracing::warn!(
                        service = section,
                        wanted,
                        max_connections,
                        open_files = files,
                        "{line}"
                    );
                }
            }
            let gate = Gate::new(fitted.limits);
            match section {
                "vote" => gates.vote = gate,
                "result" => gates.result = gate,
                _ => gates.worker = gate,
            }
        }
        gates
    }

    /// The limits of a program's services, if it may open this many files.
    pub fn fitted(&self, service: Service, open_files: Option<usize>) -> Vec<Fitted> {
        let limits = |max_connections, max_connections_per_address| Limits {
            max_connections,
            max_connections_per_address,
            max_streams: self.streams.max,
            max_streams_per_address: self.streams.max_per_address,
            stream_life: Duration::from_secs(self.streams.life_s),
            trusted_proxies: self.trusted_proxies.clone(),
            new_voters: self.new_voters.limit(),
            new_voters_of_poll: self.new_voters.poll_limit(),
            unlimited_polls: self.new_voters.unlimited_polls.clone(),
            proof_of_work: self.proof_of_work.asked(),
            ..Limits::default()
        };
        let web = |web: &Web| limits(web.max_connections, web.max_connections_per_address);
        let all = [
            ("vote", service.has_votes(), web(&self.vote)),
            ("result", service.has_results(), web(&self.result)),
            ("worker", service.uses_token(), limits(OPERATORS, None)),
        ];
        let all = all.into_iter().filter(|(_, is_here, _)| *is_here);
        let all: Vec<_> = all.map(|(section, _, limits)| (section, limits)).collect();
        let room = open_files.map_or(usize::MAX, |files| files.saturating_sub(OTHERS));
        let wanted = all.iter().map(|(_, limits)| limits.sockets());
        let given = divided(room, &wanted.collect::<Vec<_>>());
        all.into_iter()
            .zip(given)
            .map(|((section, mut limits), given)| {
                let asked = limits.max_connections;
                fit(&mut limits, given);
                Fitted {
                    section,
                    wanted: asked,
                    by_default: asked == Limits::DEFAULT_CONNECTIONS || section == "worker",
                    max_connections: limits.max_connections,
                    limits,
                }
            })
            .collect()
    }
}

/// Gives each the number that it wants. If the sum is too large, those that want little get it, and the others get
/// equal shares of the rest.
fn divided(room: usize, wanted: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|index| wanted[*index]);
    let (mut given, mut left) = (vec![0; wanted.len()], room);
    for (served, index) in order.into_iter().enumerate() {
        given[index] = wanted[index].min(left / (wanted.len() - served));
        left -= given[index];
    }
    given
}

/// Lowers the limits until they need no more than this many sockets.
fn fit(limits: &mut Limits, sockets: usize) {
    if limits.sockets() <= sockets {
        return;
    }
    let mut connections = limits.max_connections.min(sockets);
    loop {
        limits.max_connections = connections.max(AT_LEAST);
        let over = limits.sockets().saturating_sub(sockets);
        if over == 0 || connections <= AT_LEAST {
            break;
        }
        connections = connections.saturating_sub(over);
    }
    // A limit for streams that is given as a number must leave connections for other requests too.
    let streams = (limits.max_connections / 4 * 3).max(1);
    limits.max_streams = limits.max_streams.map(|given| given.min(streams));
}

/// Raises the soft limit of open files to the hard limit, and returns the limit. `None` if there is no limit, or if
/// it is not known.
#[cfg(unix)]
pub(crate) fn raise_open_files() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
    }
    let current = getrlimit(Resource::Nofile).current?;
    Some(usize::try_from(current).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
pub(crate) fn raise_open_files() -> Option<usize> {
    None
}

/// How many files a process may open that is started in the same way as this one. `None` if there is no limit, or if
/// it is not known.
pub fn open_files() -> Option<usize> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        let hard = getrlimit(Resource::Nofile).maximum?;
        Some(usize::try_from(hard).unwrap_or(usize::MAX))
    }
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(config: &Config, service: Service, files: Option<usize>) -> Vec<usize> {
        let fitted = config.fitted(service, files);
        fitted.iter().map(|fitted| fitted.max_connections).collect()
    }

    #[test]
    fn what_fits_is_as_the_settings_say() {
        let config = Config::default();
        for files in [None, Some(1_000_000), Some(21_024 + OTHERS)] {
            assert_eq!(connections(&config, Service::Vote, files), [20_000]);
            assert_eq!(connections(&config, Service::Worker, files), [1_000]);
        }
        let all = connections(&config, Service::AllInOne, None);
        assert_eq!(all, [20_000, 20_000, 1_000]);
    }

    #[test]
    fn no_process_wants_more_sockets_than_it_may_open() {
        let config = Config::default();
        let services = [
            Service::Vote,
            Service::Result,
            Service::Worker,
            Service::AllInOne,
        ];
        for service in services {
            for files in [300, 1_024, 4_096, 20_000, 40_000] {
                let fitted = config.fitted(service, Some(files));
                let sockets: usize = fitted.iter().map(|fitted| fitted.limits.sockets()).sum();
                assert!(
                    sockets + OTHERS <= files,
                    "{service:?} of {files}: {fitted:?}"
                );
                assert!(
                    sockets + OTHERS + 64 > files || files > 20_000 || service == Service::Worker,
                    "{service:?} of {files}: {fitted:?}"
                );
            }
            // This is too few for a server, but the server still answers.
            let few = config.fitted(service, Some(64));
            assert!(few.iter().all(|fitted| fitted.max_connections == AT_LEAST));
        }
    }

    #[test]
    fn streams_never_have_all_places() {
        let mut config = Config::default();
        config.streams.max = Some(20_000);
        let [fitted] = &config.fitted(Service::Result, Some(1_024))[..] else {
            panic!("one service");
        };
        assert!(fitted.limits.max_streams < Some(fitted.max_connections));
    }
}

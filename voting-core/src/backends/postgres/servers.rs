//! The servers that an address names. One of them is used at a time: the first that answers and is as the address asks.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ::postgres::{
    Config,
    config::{Host, LoadBalanceHosts},
};

use super::failure::CannotConnect;
use crate::backends::endpoint::Endpoint;

/// The servers, in the order of the address.
#[derive(Clone)]
pub(super) struct Servers {
    all: Arc<[Server]>,
    /// The index of the one that was last connected to. It is asked first: a machine that is gone may take its whole time to
    /// say nothing.
    last: Arc<AtomicUsize>,
    is_random: bool,
}

struct Server {
    endpoint: Endpoint,
    config: Config,
}

impl Servers {
    pub(super) fn new(config: &Config) -> Self {
        let configs = each(config).into_iter();
        let server = |config: Config| Server {
            endpoint: endpoints(&config).into_iter().next().unwrap_or(Endpoint {
                host: String::new(),
                port: None,
            }),
            config,
        };
        Self {
            all: configs.map(server).collect(),
            last: Arc::default(),
            is_random: config.get_load_balance_hosts() == LoadBalanceHosts::Random,
        }
    }

    /// Tries one after another.
    pub(super) fn first<T>(
        &self,
        connect: impl Fn(&Config) -> Result<T, ::postgres::Error>,
    ) -> Result<T, CannotConnect> {
        let count = self.all.len();
        let begin = match self.is_random {
            true => usize::from(uuid::Uuid::now_v7().as_bytes()[15]),
            false => self.last.load(Ordering::Relaxed),
        };
        let mut failures = Vec::new();
        for index in (0..count).map(|turn| (begin + turn) % count) {
            let server = &self.all[index];
            match connect(&server.config) {
                Ok(connected) => {
                    self.last.store(index, Ordering::Relaxed);
                    return Ok(connected);
                }
                Err(error) => failures.push((&server.endpoint, CannotConnect::by(&error))),
            }
        }
        Err(CannotConnect::of_each(&failures))
    }
}

/// A configuration for each server of one that names several.
fn each(config: &Config) -> Vec<Config> {
    let (hosts, addresses, ports) = (
        config.get_hosts(),
        config.get_hostaddrs(),
        config.get_ports(),
    );
    let count = hosts.len().max(addresses.len());
    let is_sound = (hosts.is_empty() || addresses.is_empty() || hosts.len() == addresses.len())
        && (ports.len() <= 1 || ports.len() == count);
    if count <= 1 || !is_sound {
        // The client says what is wrong with it.
        return vec![config.clone()];
    }
    let server = |index: usize| {
        let mut one = without_servers(config);
        match hosts.get(index) {
            Some(Host::Tcp(host)) => {
                one.host(host);
            }
            #[cfg(unix)]
            Some(Host::Unix(path)) => {
                one.host_path(path);
            }
            None => {}
        }
        if let Some(address) = addresses.get(index) {
            one.hostaddr(*address);
        }
        if let Some(port) = ports.get(index).or(ports.first()) {
            one.port(*port);
        }
        if let Some(timeout) = config.get_connect_timeout() {
            // All of them together get the time that one would get.
            one.connect_timeout(*timeout / u32::try_from(count).unwrap_or(u32::MAX));
        }
        one
    };
    (0..count).map(server).collect()
}

/// All that a configuration says, but for where the servers are.
fn without_servers(config: &Config) -> Config {
    let mut one = Config::new();
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(database) = config.get_dbname() {
        one.dbname(database);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    if let Some(name) = config.get_application_name() {
        one.application_name(name);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        one.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        one.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    one.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts());
    one
}

/// Where an address leads, without user and password.
pub(super) fn endpoints(config: &Config) -> Vec<Endpoint> {
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let hosts = config.get_hosts().iter().enumerate();
    hosts
        .map(|(index, host)| match host {
            Host::Tcp(host) => Endpoint {
                host: host.clone(),
                port: Some(port(index)),
            },
            #[cfg(unix)]
            Host::Unix(path) => Endpoint {
                host: path.display().to_string(),
                port: None,
            },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::postgres::config::{ChannelBinding, SslMode, TargetSessionAttrs};

    use super::*;

    fn config(url: &str) -> Config {
        url.parse().expect(url)
    }

    #[test]
    fn each_server_of_an_address_is_asked_as_the_address_says() {
        let all = "postgres://u:p%40@h1:1,[::1]:2,h3:3/d?target_session_attrs=read-write&sslmode=require\
                   &channel_binding=require&connect_timeout=9&options=-c%20a%3Db&application_name=n\
                   &keepalives=0&keepalives_idle=7&keepalives_interval=8&keepalives_retries=4&tcp_user_timeout=5";
        let whole = config(all);
        let each = each(&whole);
        assert_eq!(each.len(), 3);
        for (one, endpoint) in each.iter().zip(endpoints(&whole)) {
            assert_eq!(endpoints(one), [endpoint]);
            assert_eq!(one.get_user(), Some("u"));
            assert_eq!(one.get_password(), Some(&b"p@"[..]));
            assert_eq!(one.get_dbname(), Some("d"));
            assert_eq!(one.get_options(), Some("-c a=b"));
            assert_eq!(one.get_application_name(), Some("n"));
            assert_eq!(one.get_ssl_mode(), SslMode::Require);
            assert_eq!(one.get_channel_binding(), ChannelBinding::Require);
            assert_eq!(one.get_connect_timeout(), Some(&Duration::from_secs(3)));
            assert_eq!(
                one.get_target_session_attrs(),
                TargetSessionAttrs::ReadWrite
            );
            assert!(!one.get_keepalives());
            assert_eq!(one.get_keepalives_idle(), Duration::from_secs(7));
            assert_eq!(one.get_keepalives_interval(), Some(Duration::from_secs(8)));
            assert_eq!(one.get_keepalives_retries(), Some(4));
            assert_eq!(one.get_tcp_user_timeout(), Some(&Duration::from_secs(5)));
        }
    }

    #[test]
    fn one_port_is_that_of_all_and_an_address_of_the_network_stays_with_its_name() {
        let each = each(&config(
            "host=a,b hostaddr=127.0.0.1,127.0.0.2 port=7 user=u",
        ));
        let said: Vec<_> = each
            .iter()
            .map(|one| {
                (
                    endpoints(one)[0].to_string(),
                    one.get_hostaddrs()[0].to_string(),
                )
            })
            .collect();
        let expected = [("a:7", "127.0.0.1"), ("b:7", "127.0.0.2")];
        assert_eq!(said, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn the_server_that_was_last_connected_to_is_asked_first() {
        let servers = Servers::new(&config("postgres://u@a,b,c/d"));
        let asked = |answers: &str| {
            let order = std::cell::RefCell::new(String::new());
            let connected = servers.first(|config| {
                let host = &endpoints(config)[0].host;
                order.borrow_mut().push_str(host);
                match host == answers {
                    true => Ok(()),
                    // Nothing listens there, so this is an error of the client.
                    false => Config::new().connect(::postgres::NoTls).map(|_| ()),
                }
            });
            (connected.is_ok(), order.into_inner())
        };
        assert_eq!(asked("b"), (true, "ab".to_owned()));
        assert_eq!(asked("b"), (true, "b".to_owned()));
        assert_eq!(asked("a"), (true, "bca".to_owned()));
        assert_eq!(asked("none"), (false, "abc".to_owned()));
    }
}

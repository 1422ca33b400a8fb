//! The surroundings of a service with pages.

use std::num::NonZeroU16;

use voting_http::{Gate, PeerLink, PublicUrl, Site};

use crate::settings::config::{Config, Web};

impl Config {
    /// The name of this replica on the pages, if pages show it.
    pub fn served_by(&self) -> Option<String> {
        let host = || gethostname::gethostname().to_string_lossy().into_owned();
        self.show_served_by.then(host)
    }
}

/// Where the pages of another service are, for a service at this URL or, behind a mapping of ports, at this port. The
/// other service listens on `peer_port`.
fn peer_link(
    own_url: Option<&PublicUrl>,
    own_port: Option<NonZeroU16>,
    peer: &Web,
    peer_port: u16,
) -> PeerLink {
    let peer_port = peer.public_port.map_or(peer_port, NonZeroU16::get);
    match (own_url, &peer.public_url) {
        (_, Some(url)) => PeerLink::Url(url.clone()),
        (None, None) => match own_port {
            Some(own) => PeerLink::MappedPort {
                own: own.get(),
                peer: peer_port,
            },
            None => PeerLink::Port(peer_port),
        },
        // Behind a proxy, nobody uses the other service's port.
        (Some(_), None) => PeerLink::None,
    }
}

/// The surroundings of a service with pages, when the other service listens on `peer_port`. The pages do not name the
/// replica; see [`Config::served_by`].
pub fn site(own: &Web, peer: &Web, peer_port: u16, gate: &Gate) -> Site {
    let url = own.public_url.as_ref();
    Site::default()
        .with_public_url(own.public_url.clone())
        .with_peer(peer_link(url, own.public_port, peer, peer_port))
        .with_gate(gate.clone())
}

/// The surroundings of the host's pages, when the vote service and the result service listen on these ports.
pub fn host_site(config: &Config, vote_port: u16, result_port: u16) -> Site {
    let worker = &config.worker;
    let link = |to: &Web, port| {
        let url = worker.public_url.as_ref();
        peer_link(url, worker.public_port, to, port)
    };
    Site::default()
        .with_public_url(worker.public_url.clone())
        .with_peer(link(&config.vote, vote_port))
        .with_results(link(&config.result, result_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(worker: Option<&str>, vote: Option<&str>, port: Option<u16>) -> Site {
        let mut config = Config::default();
        let url = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        config.worker.public_url = url(worker);
        config.worker.public_port = port.and_then(NonZeroU16::new);
        config.vote.public_url = url(vote);
        host_site(&config, 8080, 8081)
    }

    #[test]
    fn the_hosts_pages_know_where_voters_vote() {
        let (host, vote) = ("https://host.test", "https://vote.test");
        let of_voters = PeerLink::Url(vote.parse().unwrap());
        assert_eq!(urls(None, None, None).peer, PeerLink::Port(8080));
        assert_eq!(urls(None, None, None).results, PeerLink::Port(8081));
        let mapped = PeerLink::MappedPort {
            own: 30082,
            peer: 8080,
        };
        assert_eq!(urls(None, None, Some(30082)).peer, mapped);
        assert_eq!(urls(None, Some(vote), Some(30082)).peer, of_voters);
        let both = urls(Some(host), Some(vote), None);
        assert_eq!(both.peer, of_voters);
        assert_eq!(both.public_url.unwrap().to_string(), host);
        // Nobody outside uses the port of the vote service.
        assert_eq!(urls(Some(host), None, None).peer, PeerLink::None);
    }
}

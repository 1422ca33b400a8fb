//! The surroundings of a service with pages.

use std::num::NonZeroU16;

use voting_http::{Gate, PeerLink, Site};

use crate::settings::config::{Config, Web};

impl Config {
    /// The name of this replica on the pages, if pages show it.
    pub fn served_by(&self) -> Option<String> {
        let host = || gethostname::gethostname().to_string_lossy().into_owned();
        self.show_served_by.then(host)
    }
}

/// The surroundings of a service with pages, when the other service listens on `peer_port`. The pages do not name the
/// replica; see [`Config::served_by`].
pub fn site(own: &Web, peer: &Web, peer_port: u16, gate: &Gate) -> Site {
    let peer_port = peer.public_port.map_or(peer_port, NonZeroU16::get);
    let peer = match (&own.public_url, &peer.public_url) {
        (_, Some(url)) => PeerLink::Url(url.clone()),
        (None, None) => match own.public_port {
            Some(own) => PeerLink::MappedPort {
                own: own.get(),
                peer: peer_port,
            },
            None => PeerLink::Port(peer_port),
        },
        // Behind a proxy, voters do not use the other service's port.
        (Some(_), None) => PeerLink::None,
    };
    Site::default()
        .with_public_url(own.public_url.clone())
        .with_peer(peer)
        .with_gate(gate.clone())
}

//! The addresses of a service, and of the other service.

use std::{fmt, sync::Arc};

use poem::{
    Request,
    http::{Uri, header},
};
use serde::Deserialize;
use voting_core::PollId;

use crate::{server::gate::Gate, theme::Theme};

/// What a service with pages knows of its surroundings.
///
/// Fields may be added, so use its methods to make one: `Site::default().with_peer(…)`.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Site {
    /// The address that voters use. Set it if the service cannot see that address itself, as behind a proxy. With
    /// `https://`, cookies are marked secure and browsers are told to use HTTPS only.
    pub public_url: Option<PublicUrl>,
    /// Where the other page is: for the vote service the result page, for the result service the voting page.
    pub peer: PeerLink,
    /// Where the result pages are, for the host's pages, whose [`peer`](Self::peer) is the voting page.
    pub results: PeerLink,
    /// The poll at `/`. By default it is the oldest poll.
    pub default_poll: Option<PollId>,
    /// The limits of the service. It must be served with the same gate.
    pub gate: Gate,
    /// The name, the colour and the logo of the pages.
    pub theme: Option<Theme>,
    /// The name of this replica on the pages. By default the pages do not say which replica answered.
    pub served_by: Option<String>,
    /// The sites that may show results inside their pages. By default none may.
    pub embed_origins: Vec<PublicUrl>,
}

/// Where the pages of the other service are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PeerLink {
    /// There is no other service: pages have no link to it.
    #[default]
    None,
    /// The other service is at this address.
    Url(PublicUrl),
    /// The other service is on the host that the client used, at this port. A client gets the link only if it used
    /// the port on which this service listens. Behind a proxy or a mapping of ports, the link could lead nowhere.
    Port(u16),
    /// The same, if ports are mapped: clients reach this service at the port `own`, and the other one at `peer`.
    MappedPort {
        /// The port of this service, as clients know it.
        own: u16,
        /// The port of the other service, as clients know it.
        peer: u16,
    },
    /// The other service is in the same application, mounted at this path, such as `/results`.
    Path(String),
}

impl PeerLink {
    /// The address of a poll's page at the other service.
    pub(crate) fn poll_url(&self, request: &Request, poll: &PollId) -> Option<String> {
        Some(format!("{}/polls/{poll}", self.root(request)?))
    }

    /// The address of the page at the other service that says what became of a receipt.
    pub(crate) fn receipt_url(&self, request: &Request) -> Option<String> {
        Some(format!("{}/receipt", self.root(request)?))
    }

    /// The address of the other service, without a slash at the end.
    fn root(&self, request: &Request) -> Option<String> {
        match self {
            Self::None => None,
            Self::Url(url) => Some(url.to_string()),
            Self::Port(peer) => {
                let own = request.local_addr().as_socket_addr()?.port();
                on_same_host(request, own, *peer)
            }
            Self::MappedPort { own, peer } => on_same_host(request, *own, *peer),
            Self::Path(path) => Some(path.trim_end_matches('/').to_owned()),
        }
    }
}

/// The port `peer` on the host that the client used, if the client used the port `own`.
fn on_same_host(request: &Request, own: u16, peer: u16) -> Option<String> {
    let (name, port) = host_and_port(request)?;
    (port == own).then(|| format!("//{name}:{peer}"))
}

/// The host and the port that the client used.
fn host_and_port(request: &Request) -> Option<(&str, u16)> {
    let host = request.header(header::HOST)?;
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
            (name, port.parse().ok()?)
        }
        // With HTTPS, the public URL would be set.
        _ => (host, 80),
    };
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'[' | b']' | b':');
    (!name.is_empty() && name.bytes().all(plain)).then_some((name, port))
}

/// An address of a service: `http://` or `https://` and a host, perhaps with a port. It has no path: the services
/// write their links from the root, or from the path where they are mounted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicUrl {
    text: String,
    https: bool,
    authority: String,
}

/// The text is not a valid address of a service. The error does not show a text that may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is not a valid public URL: give http:// or https:// and a host, such as https://vote.example.org, without a \
     user name, a path or a query"
)]
pub struct InvalidPublicUrl(String);

impl std::str::FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let invalid = || {
            InvalidPublicUrl(match text.contains('@') {
                true => "it".to_owned(),
                false => format!("{text:?}"),
            })
        };
        let trimmed = text.trim_end_matches('/');
        let uri: Uri = trimmed.parse().map_err(|_| invalid())?;
        let (https, scheme, own_port) = match uri.scheme_str() {
            Some("https") => (true, "https", ":443"),
            Some("http") => (false, "http", ":80"),
            _ => return Err(invalid()),
        };
        let authority = uri.authority().ok_or_else(invalid)?.as_str();
        if uri.path() != "/"
            || uri.query().is_some()
            || authority.contains('@')
            || text.contains('#')
        {
            return Err(invalid());
        }
        // The authority is written as a browser writes it in `Origin`.
        let authority = authority.to_ascii_lowercase();
        let authority = authority
            .strip_suffix(own_port)
            .unwrap_or(&authority)
            .to_owned();
        Ok(Self {
            text: format!("{scheme}://{authority}"),
            https,
            authority,
        })
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = InvalidPublicUrl;

    fn try_from(text: String) -> Result<Self, InvalidPublicUrl> {
        text.parse()
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PublicUrl {
    /// Whether voters use HTTPS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host, and the port if it is not the scheme's default.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

impl Site {
    /// Sets the address that voters use. It is needed if the service cannot see that address itself, as behind a
    /// proxy. With `https://`, cookies are marked secure and browsers are told to use HTTPS only.
    #[must_use]
    pub fn with_public_url(mut self, url: impl Into<Option<PublicUrl>>) -> Self {
        self.public_url = url.into();
        self
    }

    /// Sets where the other page is: for the vote service the result page, for the result service the voting page.
    #[must_use]
    pub fn with_peer(mut self, peer: PeerLink) -> Self {
        self.peer = peer;
        self
    }

    /// Sets where the result pages are, for the host's pages.
    #[must_use]
    pub fn with_results(mut self, results: PeerLink) -> Self {
        self.results = results;
        self
    }

    /// Sets the poll at `/`.
    #[must_use]
    pub fn with_default_poll(mut self, poll: impl Into<Option<PollId>>) -> Self {
        self.default_poll = poll.into();
        self
    }

    /// Sets the limits of the service. It must be served with the same gate.
    #[must_use]
    pub fn with_gate(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// Sets the name, the colour and the logo of the pages.
    #[must_use]
    pub fn with_theme(mut self, theme: impl Into<Option<Theme>>) -> Self {
        self.theme = theme.into();
        self
    }

    /// Sets the name of this replica on the pages.
    #[must_use]
    pub fn with_served_by(mut self, name: impl Into<Option<String>>) -> Self {
        self.served_by = name.into();
        self
    }

    /// Sets which sites may show results inside their pages.
    #[must_use]
    pub fn with_embed_origins(mut self, origins: impl Into<Vec<PublicUrl>>) -> Self {
        self.embed_origins = origins.into();
        self
    }

    /// The address of a poll's page at the other service, with a scheme and a host, so that it can be copied and scanned.
    pub(crate) fn whole_peer_url(&self, request: &Request, poll: &PollId) -> Option<String> {
        self.whole(request, self.peer.poll_url(request, poll)?)
    }

    /// The address of a poll's result page, with a scheme and a host.
    pub(crate) fn whole_result_url(&self, request: &Request, poll: &PollId) -> Option<String> {
        self.whole(request, self.results.poll_url(request, poll)?)
    }

    fn whole(&self, request: &Request, found: String) -> Option<String> {
        if found.starts_with("//") {
            // With HTTPS, the address is set.
            return Some(format!("http:{found}"));
        }
        if !found.starts_with('/') {
            return Some(found);
        }
        if let Some(own) = &self.public_url {
            return Some(format!("{own}{found}"));
        }
        let host = request.header(header::HOST)?;
        Some(format!("http://{host}{found}"))
    }

    /// Whether voters use HTTPS.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(PublicUrl::is_https)
    }
}

/// The path where the service is mounted, if the application has set it: see [`Prefix`].
#[derive(Debug, Clone)]
pub(crate) struct BasePath(Arc<str>);

impl BasePath {
    pub(crate) fn new(path: &str) -> Self {
        let path = path.trim_matches('/');
        Self(match path {
            "" => Arc::from(""),
            _ => format!("/{path}").into(),
        })
    }
}

/// The path where the service is mounted in another application. It is empty, or begins with a slash and does not end
/// with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefix(String);

impl Prefix {
    /// The path that the application has set. Otherwise the path that a router of poem removed from the address; poem
    /// keeps the original address beside it.
    pub(crate) fn of(request: &Request) -> Self {
        if let Some(BasePath(reported)) = request.data::<BasePath>() {
            return Self(reported.to_string());
        }
        let (original, own) = (request.original_uri().path(), request.uri().path());
        let prefix = original
            .strip_suffix(own)
            // A service that is mounted at `/x` and called as `/x` sees `/`.
            .or_else(|| (own == "/").then_some(original))
            .unwrap_or_default();
        Self(prefix.trim_end_matches('/').to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The address of a request, with its query, for a link on one of our pages.
pub(crate) fn address_of(request: &Request) -> Option<String> {
    let original = request.original_uri().path_and_query()?.as_str();
    match request.data::<BasePath>() {
        Some(BasePath(reported)) => {
            let own = request.uri().path_and_query()?.as_str();
            Some(format!("{reported}{own}"))
        }
        None => Some(original.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(peer: &PeerLink, host: &'static str) -> Option<String> {
        let request = Request::builder().header("host", host).finish();
        peer.poll_url(&request, &"p".parse().unwrap())
    }

    #[test]
    fn the_peer_is_on_the_host_that_the_client_used() {
        let peer = PeerLink::MappedPort {
            own: 30_080,
            peer: 30_081,
        };
        let url = |host| url(&peer, host);
        assert_eq!(url("localhost:30080").unwrap(), "//localhost:30081/polls/p");
        assert_eq!(url("[::1]:30080").unwrap(), "//[::1]:30081/polls/p");
        assert_eq!(url("evil/\"><script>:30080"), None);
    }

    #[test]
    fn who_came_by_another_port_gets_no_link_that_may_lead_nowhere() {
        let peer = PeerLink::MappedPort {
            own: 8080,
            peer: 8081,
        };
        for host in ["vote.test:30080", "vote.test", "vote.test:", "[::1]", ""] {
            assert_eq!(url(&peer, host), None, "{host:?}");
        }
        let plain = PeerLink::MappedPort { own: 80, peer: 81 };
        assert_eq!(url(&plain, "vote.test").unwrap(), "//vote.test:81/polls/p");
    }

    #[test]
    fn a_public_url_has_a_scheme_and_a_host() {
        let url: PublicUrl = "https://Vote.example.org:443/".parse().unwrap();
        assert_eq!(url.to_string(), "https://vote.example.org");
        let other: PublicUrl = "http://localhost:8080".parse().unwrap();
        assert_eq!(other.authority(), "localhost:8080");
        assert_eq!(url.authority(), "vote.example.org");
        assert!(url.is_https());
        let bad = [
            "",
            "vote.example.org",
            "ftp://x",
            "https://",
            "/vote",
            "https://x/?a=b",
            "https://x/y",
            "https://me:pw@x",
            "https://x#y",
        ];
        for bad in bad {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad:?}");
        }
    }
}

//! oEmbed 1.0 (<https://oembed.com>): sites that turn an address into a frame ask here what to put in its place.

use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, StatusCode, Uri, header},
};
use serde_json::json;

use super::texts::escaped;
use crate::{
    pages::site::{PeerLink, Prefix, Site},
    problem::Problem,
    result::ResultService,
};

/// `GET`: the frame for the address of a poll's page.
pub(in crate::result) struct Show(pub(in crate::result) ResultService);

/// The size of a frame, in pixels, where the other site sets no lower limit.
const WIDTH: u64 = 600;
const HEAD: u64 = 150;
const ROW: u64 = 54;

impl Endpoint for Show {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let service = &self.0.0;
        if service.site.embed_origins.is_empty() {
            return Err(Problem::not_embedded().into());
        }
        let query = request.uri().query().unwrap_or_default();
        let field = |wanted: &str| {
            let mut fields = form_urlencoded::parse(query.as_bytes());
            fields.find(|(name, _)| name == wanted)
        };
        if field("format").is_some_and(|(_, format)| format != "json") {
            // The answer that the protocol asks for.
            return Ok(Response::builder()
                .status(StatusCode::NOT_IMPLEMENTED)
                .content_type("text/plain; charset=utf-8")
                .body("The only format is json.\n"));
        }
        let prefix = Prefix::of(&request);
        let (_, url) = field("url").ok_or_else(Problem::no_such_address)?;
        let id = poll_at(&url, &request, &service.site, prefix.as_str());
        let id = id.ok_or_else(Problem::no_such_address)?;
        let poll = service.polls.get(&id).await?;
        let here = match &service.site.public_url {
            Some(url) => url.to_string(),
            None => {
                let host = request.header(header::HOST);
                format!("http://{}", host.ok_or_else(Problem::no_such_address)?)
            }
        };
        let here = format!("{here}{}", prefix.as_str());
        let most = |name: &str| field(name).and_then(|(_, most)| most.parse::<u64>().ok());
        let width = WIDTH.min(most("maxwidth").unwrap_or(WIDTH));
        let height = HEAD + ROW * poll.options().len() as u64;
        let height = height.min(most("maxheight").unwrap_or(height));
        let html = format!(
            "<iframe src=\"{here}/embed/polls/{}\" width=\"{width}\" height=\"{height}\" title=\"{}\" loading=\"lazy\" \
             frameborder=\"0\"></iframe>",
            poll.id(),
            escaped(poll.title()),
        );
        let frame = json!({
            "version": "1.0",
            "type": "rich",
            "title": poll.title(),
            "provider_url": here,
            "html": html,
            "width": width,
            "height": height,
            "cache_age": 3600,
        });
        Ok(Response::builder()
            .content_type("application/json")
            .header(
                header::CACHE_CONTROL,
                HeaderValue::from_static("public, max-age=300"),
            )
            .body(frame.to_string()))
    }
}

/// The poll whose page is at this address of one of the two services; `None` if it is another address.
fn poll_at(url: &str, request: &Request, site: &Site, prefix: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let own = match &site.public_url {
        Some(url) => url.authority().eq_ignore_ascii_case(authority),
        None => request.header(header::HOST) == Some(authority),
    };
    let path = match &site.peer {
        _ if own => uri.path().strip_prefix(prefix)?,
        PeerLink::Url(peer) if peer.authority().eq_ignore_ascii_case(authority) => uri.path(),
        _ => return None,
    };
    let id = path.strip_prefix("/polls/")?;
    Some(id.strip_suffix('/').unwrap_or(id).to_owned())
}

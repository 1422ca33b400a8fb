//! The address at which people vote, as it is shown to them.

use crate::pages::qr;

/// Where people vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VoteAddress {
    /// The address, with its scheme.
    pub(super) url: String,
    /// The modules of its QR code, as the path of an SVG.
    pub(super) code: String,
    /// The size of the code with its empty edge, in modules.
    pub(super) size: usize,
}

impl VoteAddress {
    /// `None` if the address is too long for a code.
    pub(super) fn new(url: String) -> Option<Self> {
        let (code, size) = qr::path(&url)?;
        Some(Self { url, code, size })
    }

    /// The address as people type it, since browsers add the scheme: the host, and the path.
    pub(super) fn typed(&self) -> (&str, &str) {
        let short = self.url.strip_prefix("https://");
        let short = short.or_else(|| self.url.strip_prefix("http://"));
        let short = short.unwrap_or(&self.url);
        short.split_at(short.find('/').unwrap_or(short.len()))
    }

    /// The code as a file. It is dark on white, also where everything else is dark: many readers need that.
    pub(super) fn to_svg(&self) -> String {
        let Self { code, size, .. } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" width=\"{width}\" height=\"{width}\" \
             shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0,0h{size}v{size}h-{size}z\"/>\
             <path fill=\"#000\" d=\"{code}\"/></svg>\n",
            width = size * 8,
        )
    }
}

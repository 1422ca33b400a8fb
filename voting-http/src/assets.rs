//! Style sheet, scripts and icon, all in the binary.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use poem::{
    Endpoint, Response, Route,
    endpoint::make_sync,
    get,
    http::{HeaderValue, header},
};
use sha2::{Digest, Sha256};

struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        Asset {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../assets/", $name)),
        }
    };
}

const ASSETS: [Asset; 4] = [
    asset!("voting.css", "text/css; charset=utf-8"),
    asset!("vote.js", "text/javascript; charset=utf-8"),
    asset!("result.js", "text/javascript; charset=utf-8"),
    asset!("favicon.svg", "image/svg+xml"),
];

/// Stands in the addresses of assets, so that they can be cached for ever.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in &ASSETS {
        hash.update(asset.bytes);
    }
    HEXLOWER.encode(&hash.finalize()[..6])
});

pub(crate) fn version() -> &'static str {
    &VERSION
}

/// To be mounted at `/assets`.
pub(crate) fn route() -> impl Endpoint {
    let route = Route::new();
    ASSETS.iter().fold(route, |route, asset| {
        route.at(
            format!("/{}", asset.name),
            get(make_sync(move |request| {
                // Without the right version the address may soon stand for other bytes.
                let current = request.uri().query() == Some(&format!("v={}", version()));
                let caching = if current {
                    "public, max-age=31536000, immutable"
                } else {
                    "no-cache"
                };
                Response::builder()
                    .content_type(asset.content_type)
                    .header(header::CACHE_CONTROL, HeaderValue::from_static(caching))
                    .body(asset.bytes)
            })),
        )
    })
}

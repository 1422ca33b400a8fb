//! Style sheet, scripts and icon, all in the binary. They are sent without the comments and the indentation of their
//! sources, which are a third of their size.

use std::sync::{LazyLock, OnceLock};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use poem::{
    Endpoint, Request, Response, Route,
    endpoint::{make, make_sync},
    get,
    http::{HeaderValue, header},
};
use sha2::{Digest, Sha256};

use crate::{
    pages::compression::{self, BROTLI, BY_ENCODING, GZIP},
    problem::Problem,
    texts::{self, LANGUAGES, Texts},
    theme::Theme,
};

struct Asset {
    name: &'static str,
    content_type: &'static str,
    source: &'static str,
    /// The bytes that are sent.
    sent: OnceLock<Sent>,
    /// The same with the words of each language.
    languages: [OnceLock<Sent>; LANGUAGES],
}

struct Sent {
    plain: Bytes,
    gzip: Option<Bytes>,
    brotli: Option<Bytes>,
}

/// What is sent at an address: an asset, in a language if it has words.
#[derive(Clone, Copy)]
struct At {
    asset: &'static Asset,
    language: Option<&'static Texts>,
}

impl At {
    /// If it was made already.
    fn known(self) -> Option<&'static Sent> {
        match self.language {
            None => self.asset.sent.get(),
            Some(t) => self.asset.languages[t.index].get(),
        }
    }

    fn made(self) -> &'static Sent {
        match self.language {
            None => self.asset.sent(),
            Some(t) => self.asset.in_language(t),
        }
    }

    /// What is sent. For the first request it is compressed beside the service's threads: votes go on there.
    async fn sent(self) -> Result<&'static Sent, Problem> {
        if let Some(sent) = self.known() {
            return Ok(sent);
        }
        let made = tokio::task::spawn_blocking(move || self.made()).await;
        made.map_err(|_| Problem::internal())
    }
}

impl Asset {
    /// The bytes that are sent. They are made for the first request.
    fn sent(&self) -> &Sent {
        self.sent.get_or_init(|| Sent::new(self.lean()))
    }

    /// The script in this language.
    fn in_language(&self, t: &Texts) -> &Sent {
        let made = || Sent::new(texts::script_in_language(&self.lean(), t));
        self.languages[t.index].get_or_init(made)
    }

    fn lean(&self) -> String {
        let lean = lean(self.source);
        match self.name.rsplit_once('.') {
            Some((_, "css")) => without(&lean, &STYLE),
            Some((_, "js")) => without(&lean, &SCRIPT),
            _ => lean,
        }
    }

    /// The addresses, each with what is sent there. A script with words has an address for each language. English has the
    /// one of earlier versions, which are asked for it while replicas of two versions run.
    fn addresses(&'static self) -> Vec<(String, At)> {
        let at = |language| At {
            asset: self,
            language,
        };
        if !WITH_WORDS.contains(&self.name) {
            return vec![(self.name.to_owned(), at(None))];
        }
        let in_language = |t: &'static Texts| -> (String, At) {
            let name = match t.is_english() {
                true => self.name.to_owned(),
                false => self.name.replace(".js", &format!(".{}.js", t.tag)),
            };
            (name, at(Some(t)))
        };
        Texts::all().iter().map(in_language).collect()
    }
}

impl Sent {
    fn new(text: String) -> Self {
        let plain = Bytes::from(text);
        let gzip = compression::gzip_once(&plain);
        let brotli = compression::brotli_once(&plain);
        Self {
            plain,
            gzip,
            brotli,
        }
    }
}

/// The scripts that are sent with the words of a language.
const WITH_WORDS: [&str; 2] = ["vote.js", "keep.js"];

/// Removes comments and indentation. No text in our sources contains anything that looks like them.
fn lean(source: &str) -> String {
    let mut parts = source.split("/*");
    let mut code = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        code.push_str(part.split_once("*/").map_or("", |(_, rest)| rest));
    }
    let lines = code.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("//"));
    let lines = lines.map(|line| line.split_once(" // ").map_or(line, |(code, _)| code));
    lines.collect::<Vec<_>>().join("\n")
}

/// Spaces that only people need. No text in our sources contains anything that looks like them.
const STYLE: [(&str, &str); 10] = [
    ("{\n", "{"),
    (";\n", ";"),
    ("}\n", "}"),
    (": ", ":"),
    ("; ", ";"),
    (", ", ","),
    (" {", "{"),
    ("{ ", "{"),
    (" }", "}"),
    (";}", "}"),
];
const SCRIPT: [(&str, &str); 11] = [
    (" = ", "="),
    (" === ", "==="),
    (" !== ", "!=="),
    (" + ", "+"),
    (" && ", "&&"),
    (" || ", "||"),
    (" ? ", "?"),
    (" < ", "<"),
    (") {", "){"),
    (";\n", ";"),
    ("{\n", "{"),
];

fn without(source: &str, spaces: &[(&str, &str)]) -> String {
    let tighten = |text: String, (spaced, close): &(&str, &str)| text.replace(spaced, close);
    spaces.iter().fold(source.to_owned(), tighten)
}

macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        Asset {
            name: $name,
            content_type: $content_type,
            source: include_str!(concat!("../../assets/", $name)),
            sent: OnceLock::new(),
            languages: [const { OnceLock::new() }; LANGUAGES],
        }
    };
}

static ASSETS: [Asset; 15] = [
    asset!("voting.css", "text/css; charset=utf-8"),
    asset!("vote.js", "text/javascript; charset=utf-8"),
    asset!("keep.js", "text/javascript; charset=utf-8"),
    asset!("proof.js", "text/javascript; charset=utf-8"),
    asset!("result.js", "text/javascript; charset=utf-8"),
    asset!("result.css", "text/css; charset=utf-8"),
    asset!("hidden.js", "text/javascript; charset=utf-8"),
    asset!("host.css", "text/css; charset=utf-8"),
    asset!("host.js", "text/javascript; charset=utf-8"),
    asset!("favicon.svg", "image/svg+xml"),
    asset!("share.js", "text/javascript; charset=utf-8"),
    asset!("screen.js", "text/javascript; charset=utf-8"),
    asset!("present.js", "text/javascript; charset=utf-8"),
    asset!("present.css", "text/css; charset=utf-8"),
    asset!("embed.css", "text/css; charset=utf-8"),
];

/// A hash of all assets, with the words of all languages. It is in their addresses, so that browsers can cache them for ever.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in &ASSETS {
        hash.update(asset.source);
    }
    for t in Texts::all() {
        let scripts = ASSETS
            .iter()
            .filter(|asset| WITH_WORDS.contains(&asset.name));
        for script in scripts {
            hash.update(texts::script_in_language(script.source, t));
        }
    }
    HEXLOWER.encode(&hash.finalize()[..6])
});

pub(crate) fn version() -> &'static str {
    &VERSION
}

/// Answers with a file of a theme, which is small.
fn of_theme(route: Route, theme: &Theme) -> Route {
    theme.files().fold(route, |route, (name, kind, bytes)| {
        let current = format!("v={}", theme.version());
        route.at(
            format!("/{name}"),
            get(make_sync(move |request| {
                Response::builder()
                    .content_type(kind)
                    .header(header::CACHE_CONTROL, caching(&request, &current))
                    .body(bytes.clone())
            })),
        )
    })
}

/// How long a browser may keep an asset. An address without the current version may soon return other bytes.
fn caching(request: &Request, current: &str) -> HeaderValue {
    HeaderValue::from_static(match request.uri().query() == Some(current) {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    })
}

/// The assets, and those of a theme. The route is mounted at `/assets`.
pub(crate) fn route(theme: Option<&Theme>) -> impl Endpoint + use<> {
    let mut route = Route::new();
    if let Some(theme) = theme {
        route = of_theme(route, theme);
    }
    let addresses = ASSETS.iter().flat_map(|asset| {
        let addresses = asset.addresses().into_iter();
        addresses.map(move |(address, at)| (asset, address, at))
    });
    addresses.fold(route, |route, (asset, address, at)| {
        route.at(
            format!("/{address}"),
            get(make(move |request| async move {
                let caching = caching(&request, &format!("v={}", version()));
                let answer = Response::builder()
                    .content_type(asset.content_type)
                    .header(header::CACHE_CONTROL, caching)
                    .header(header::VARY, BY_ENCODING);
                let (sent, headers) = (at.sent().await?, request.headers());
                Ok::<_, poem::Error>(match (&sent.brotli, &sent.gzip) {
                    (Some(brotli), _) if compression::accepts_brotli(headers) => {
                        let answer = answer.header(header::CONTENT_ENCODING, BROTLI);
                        answer.body(brotli.clone())
                    }
                    (_, Some(gzip)) if compression::accepts_gzip(headers) => {
                        let answer = answer.header(header::CONTENT_ENCODING, GZIP);
                        answer.body(gzip.clone())
                    }
                    _ => answer.body(sent.plain.clone()),
                })
            })),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Syntax that browsers of ten years ago cannot parse. They would run no part of such a script.
    const NEWER: [&str; 9] = [
        "=>", "`", "?.", "??", "...", "const ", "let ", "async ", "class ",
    ];

    #[test]
    fn the_voting_pages_script_can_be_parsed_by_browsers_of_ten_years_ago() {
        let script = include_str!("../../assets/vote.js");
        let code = script
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for (number, line) in code.enumerate() {
            for newer in NEWER {
                assert!(!line.contains(newer), "{newer} in line {number}: {line}");
            }
        }
    }

    #[test]
    fn what_is_sent_has_no_comments_and_all_of_the_code() {
        let source = "/* Head. */\n\n.a {\n  color: red; /* so */\n}\n";
        assert_eq!(lean(source), ".a {\ncolor: red;\n}");
        assert_eq!(
            without(&lean("a,\n.b > c {\n  x: y, z;\n}\nd { e: f; }"), &STYLE),
            "a,\n.b > c{x:y,z}d{e:f}"
        );
        let source =
            "// Says\n// why.\nvar url = \"https://x\"; // where\n  if (url) {\n  go(url);\n}\n";
        let lean = lean(source);
        assert_eq!(lean, "var url = \"https://x\";\nif (url) {\ngo(url);\n}");
        assert_eq!(
            without(&lean, &SCRIPT),
            "var url=\"https://x\";if (url){go(url);}"
        );
    }
}

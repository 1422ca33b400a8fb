//! The language of a page: what the visitor has chosen, else what the browser asks for, else the language of the poll.

use poem::{
    Request, Response,
    http::{HeaderValue, Method, header},
};
use voting_core::Poll;

use super::Texts;

/// The field of an address with the language that was chosen.
const FIELD: &str = "lang";

/// The cookie with that language: over HTTPS, where browsers accept this name from the very host only, and over HTTP.
const COOKIES: [&str; 2] = ["__Host-voting-lang", "voting-lang"];

impl Texts {
    /// The texts for the answer to this request.
    pub(crate) fn of(request: &Request, poll: Option<&Poll>) -> &'static Self {
        in_address(request)
            .or_else(|| in_cookie(request))
            .or_else(|| asked_for(request))
            .or_else(|| Self::in_language(poll?.settings().language.as_deref()?))
            .unwrap_or_else(Self::english)
    }
}

fn in_address(request: &Request) -> Option<&'static Texts> {
    let query = request.uri().query()?;
    let mut fields = form_urlencoded::parse(query.as_bytes());
    let (_, tag) = fields.find(|(name, _)| name == FIELD)?;
    Texts::in_language(&tag)
}

fn in_cookie(request: &Request) -> Option<&'static Texts> {
    let lines = request.headers().get_all(header::COOKIE).into_iter();
    let mut cookies = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    cookies.find_map(|cookie| {
        let (name, tag) = cookie.trim().split_once('=')?;
        if COOKIES.contains(&name) {
            Texts::in_language(tag)
        } else {
            None
        }
    })
}

/// The language of `Accept-Language` (RFC 9110, 12.5.4) with the greatest weight; of equal ones, the first.
fn asked_for(request: &Request) -> Option<&'static Texts> {
    let lines = request
        .headers()
        .get_all(header::ACCEPT_LANGUAGE)
        .into_iter();
    let ranges = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    let mut best: Option<(f32, &Texts)> = None;
    for range in ranges {
        let mut parts = range.split(';');
        let tag = parts.next().unwrap_or_default().trim();
        let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok());
        let weight: f32 = weight.unwrap_or(1.0);
        if let Some(texts) = Texts::in_language(tag)
            && weight > best.map_or(0.0, |(best, _)| best)
        {
            best = Some((weight, texts));
        }
    }
    best.map(|(_, texts)| texts)
}

/// The language that the address of a request names. A page that is asked for in this way is in this language, and so are
/// the next ones.
pub(crate) struct Chosen(Option<&'static Texts>);

impl Chosen {
    pub(crate) fn of(request: &Request) -> Self {
        let may_choose = matches!(*request.method(), Method::GET | Method::HEAD);
        Self(in_address(request).filter(|_| may_choose))
    }

    /// Keeps the choice, if the answer is a page in this language.
    pub(crate) fn keep(&self, answer: &mut Response, https: bool) {
        let Some(texts) = self.0 else {
            return;
        };
        let language = answer.headers().get(header::CONTENT_LANGUAGE);
        if language.is_none_or(|language| language != texts.tag) {
            return;
        }
        let (name, secure) = match https {
            true => (COOKIES[0], "; Secure"),
            false => (COOKIES[1], ""),
        };
        // It says nothing of a vote, and no script needs it.
        let tag = texts.tag;
        let cookie =
            format!("{name}={tag}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly{secure}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

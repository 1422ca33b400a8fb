//! The page that says what became of a vote. Its form takes the code of a receipt, in its body: no address has the code, so no
//! log, no trace and no history of a browser has it.

use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, header},
};
use voting_core::{Poll, Receipt, ReceiptState, model::moment::Moment};

use super::{MINUTE_MS, ResultService};
use crate::{
    pages::{
        assets,
        language::Language,
        site::Prefix,
        templates::{self, CheckPage, Checked},
    },
    problem::Problem,
    texts::Texts,
    views::{moment_words, receipt_words},
    vote::form,
};

/// The longest code that is read. That of the poll with the longest name is shorter.
const MAX_CODE: usize = 400;

/// `GET`: the form.
pub(super) struct Ask;

/// `POST`: the form with a code.
pub(super) struct Check(pub(super) ResultService);

impl Endpoint for Ask {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let t = Texts::of(&request, None);
        Ok(page(&request, t, None, None))
    }
}

impl Endpoint for Check {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let fields = form::fields(&mut request).await?;
        let mut fields = form_urlencoded::parse(&fields);
        let code = fields.find(|(name, _)| name == "receipt");
        let code = code.map_or_else(String::new, |(_, code)| bare(&code));
        let service = &self.0.0;
        let Ok(receipt) = service.receipts.open(&code) else {
            let t = Texts::of(&request, None);
            let answer = page(&request, t, None, Some(&t.receipt_wrong));
            return Ok(Problem::no_receipt().finish(answer));
        };
        let state = service
            .tallies
            .receipt_state(&receipt)
            .await
            .map_err(Problem::from)?;
        // A poll that is deleted has no texts any more.
        let poll = match state {
            ReceiptState::PollDeleted => None,
            // The words depend on the poll's rules.
            _ => Some(service.polls.get_recent(&receipt.poll).await?),
        };
        let t = Texts::of(&request, poll.as_deref());
        let prefix = Prefix::of(&request);
        let checked = checked(&receipt, state, poll.as_deref(), prefix.as_str(), t);
        Ok(page(&request, t, Some(checked), None))
    }
}

/// The code without what came along when it was copied.
fn bare(typed: &str) -> String {
    let signs = typed.chars().filter(|sign| !sign.is_whitespace());
    signs.take(MAX_CODE).collect()
}

fn checked<'a>(
    receipt: &Receipt,
    state: ReceiptState,
    poll: Option<&'a Poll>,
    base: &str,
    t: &'static Texts,
) -> Checked<'a> {
    let revote = poll.is_none_or(|poll| poll.settings().revote);
    // Not more exactly: a receipt does not tell the moment of a vote.
    let minute = Moment::from_unix_ms(receipt.position.ms() / MINUTE_MS * MINUTE_MS);
    Checked {
        counts: state == ReceiptState::Counted,
        words: receipt_words::state(state, revote, t),
        reason: receipt_words::reason(state, t),
        cast: poll
            .zip(minute)
            .map(|(poll, minute)| t.cast_in_minute(&moment_words::of_poll(minute, poll, t))),
        title: poll.map(Poll::title),
        language: poll.map(Language::of),
        poll_url: poll.map(|poll| format!("{base}/polls/{}", poll.id())),
    }
}

fn page(
    request: &Request,
    t: &'static Texts,
    checked: Option<Checked<'_>>,
    error: Option<&str>,
) -> Response {
    let prefix = Prefix::of(request);
    let base = prefix.as_str();
    let mut answer = templates::render_in(
        t,
        &CheckPage {
            t,
            here: &format!("{base}/receipt"),
            base,
            assets_version: assets::version(),
            checked,
            error,
        },
    );
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_typed_with_spaces_and_in_lines() {
        assert_eq!(bare(" 2.ab\r\ncd \u{a0}e"), "2.abcde");
        assert_eq!(bare(&"a".repeat(1000)).len(), MAX_CODE);
    }
}

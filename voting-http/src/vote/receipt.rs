//! The receipt of this browser's vote: a page with its code, and the code as a file. Both are made from the cookie that
//! remembers the vote, so they need no script, no look-up, and no code in an address.

use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, header},
};
use voting_core::Poll;

use super::{VoteService, page};
use crate::{
    edge::security_headers,
    pages::{
        assets,
        language::Language,
        poll_of_page::PagePlace,
        site::Prefix,
        templates::{self, ReceiptPage},
    },
    problem::Problem,
    texts::Texts,
};

/// `GET`: the page. A browser that remembers no vote is sent to the poll's page.
pub(super) struct Show(pub(super) VoteService);

/// `GET`: the same as a text file.
pub(super) struct AsFile(pub(super) VoteService);

impl Endpoint for Show {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = PagePlace::Named.poll(&self.0.0.polls, &request).await?;
        let Some(code) = self.0.receipt_code(&request, &poll).await? else {
            return Ok(is_private(page::see_page(&request, &poll)));
        };
        let t = Texts::of(&request, Some(&poll));
        let prefix = Prefix::of(&request);
        let address = page::address(&prefix, &poll);
        let check_url = self.0.0.site.peer.receipt_url(&request);
        let policy = check_url.as_deref().map(security_headers::policy_with_form);
        let receipt = ReceiptPage {
            t,
            here: &format!("{address}/receipt"),
            base: prefix.as_str(),
            assets_version: assets::version(),
            title: poll.title(),
            language: Language::of(&poll),
            address: &address,
            code: &code,
            // The form has the code in its body. Where no policy can allow this form, a link leads to one without it.
            sends: policy.as_ref().is_some_and(Option::is_some),
            check_url,
        };
        let mut answer = is_private(templates::render_in(t, &receipt));
        if let Some(policy) = policy.flatten() {
            let headers = answer.headers_mut();
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        Ok(answer)
    }
}

impl Endpoint for AsFile {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let poll = PagePlace::Named.poll(&self.0.0.polls, &request).await?;
        let Some(code) = self.0.receipt_code(&request, &poll).await? else {
            return Ok(is_private(page::see_page(&request, &poll)));
        };
        let t = Texts::of(&request, Some(&poll));
        let site = &self.0.0.site;
        // Read weeks later, only a whole address leads anywhere.
        let check_url = site.peer.receipt_url(&request).and_then(|url| {
            let is_whole = url.starts_with("http");
            match (url.strip_prefix("//"), &site.public_url) {
                (Some(rest), _) => Some(format!("http://{rest}")),
                (None, _) if is_whole => Some(url),
                (None, public) => Some(format!("{}{url}", public.as_ref()?)),
            }
        });
        // A title may have several lines, and must not look like a code of its own.
        let title: String = poll
            .title()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let mut text = format!(
            "{}: {title}\r\n\r\n{code}\r\n\r\n{}\r\n",
            t.your_receipt, t.about_receipt
        );
        if let Some(url) = check_url {
            text.push_str(&format!("{}: {url}\r\n", t.check_vote));
        }
        let name = format!("attachment; filename=\"receipt-{}.txt\"", poll.id());
        Ok(is_private(
            Response::builder()
                .content_type("text/plain; charset=utf-8")
                .header(header::CONTENT_DISPOSITION, name)
                .body(text),
        ))
    }
}

impl VoteService {
    /// The code of the receipt of the vote that this browser remembers. Not of a vote that was taken back: the page shows none.
    async fn receipt_code(
        &self,
        request: &Request,
        poll: &Poll,
    ) -> Result<Option<String>, Problem> {
        let visitor = self.visitor(request, poll).await?;
        // Once its voters are forgotten, a poll has no key from which to make the voter's id.
        let Ok(voter) = self.voter_in(poll, visitor) else {
            return Ok(None);
        };
        let vote = self.kept(request, poll, visitor).vote;
        let vote = vote.filter(|vote| !vote.is_withdrawn());
        let receipt = vote.and_then(|vote| vote.receipt(poll.id(), voter));
        Ok(receipt.map(|receipt| self.0.receipts.seal(&receipt)))
    }
}

/// The code goes into no cache, and no search engine is to follow the links to it.
fn is_private(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    headers.insert(header::VARY, HeaderValue::from_static(page::VARY));
    answer
}

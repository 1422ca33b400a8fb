//! The services in the arguments: whether they can be reached and are ready.

use voting_service::{NotReady, ready};

use super::Visit;
use crate::commands::report::Finding;

pub(super) async fn check(visit: &mut Visit<'_>, name: &str, urls: &[String]) {
    for url in urls {
        let (asked, timeout) = (url.clone(), visit.timeout);
        let answer = tokio::task::spawn_blocking(move || ready(&asked, timeout)).await;
        let answer = answer.unwrap_or_else(|error| Err(NotReady::Silent(error.to_string())));
        visit.add(reported(name, url, answer));
    }
}

fn reported(name: &str, url: &str, answer: Result<(), NotReady>) -> Finding {
    let check = "service";
    match answer {
        Ok(()) => Finding::ok(check, format!("the {name} at {url} is ready")),
        Err(NotReady::Says(status, detail)) => {
            let detail = detail.map(|detail| format!(": {detail}"));
            Finding::fail(
                check,
                format!(
                    "the {name} at {url} is not ready ({}{})",
                    status.as_u16(),
                    detail.unwrap_or_default()
                ),
                "see its log for the reason, and the lines above",
            )
        }
        Err(NotReady::Silent(error)) => Finding::fail(
            check,
            format!("the {name} at {url} does not answer: {error}"),
            "start it; it listens on this machine only unless its listen setting says otherwise",
        ),
    }
}

//! The public keys of the identity provider, if voters can sign in by its tokens.

use voting_service::Service;

use super::{Visit, count_of};
use crate::commands::report::Finding;

pub(super) async fn check(visit: &mut Visit<'_>) {
    let check = "login keys";
    let votes = visit.is_for(Service::Vote) || visit.is_for(Service::AllInOne);
    // Settings that do not fit together have a line of their own.
    let Ok(logins) = visit.config.logins() else {
        return;
    };
    if !votes || !logins.takes_tokens() {
        return;
    }
    let finding = match tokio::time::timeout(visit.timeout, logins.count_keys()).await {
        Ok(Ok(keys)) => Finding::ok(
            check,
            count_of(keys as u64, "key") + " of the identity provider",
        ),
        Ok(Err(why)) => Finding::fail(
            check,
            format!("cannot get the keys of the identity provider: {why}"),
            "correct login.jwks_url or login.jwks_file; until then nobody can sign in to vote",
        ),
        Err(_) => Finding::fail(
            check,
            "the keys of the identity provider did not come in time",
            "check the provider, and login.jwks_url; until then nobody can sign in to vote",
        ),
    };
    visit.add(finding);
}

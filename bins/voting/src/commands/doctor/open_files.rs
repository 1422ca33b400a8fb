//! Checks that the services may open enough files for their connections.

use voting_service::{Fitted, open_files};

use super::Visit;
use crate::commands::report::Finding;

/// A service with fewer connections than this is too small for many voters.
const FEW: usize = 1_000;

pub(super) fn check(visit: &mut Visit<'_>) {
    let files = open_files();
    for service in visit.services.clone() {
        for fitted in visit.config.fitted(service, files) {
            visit.add(reported(&fitted, files));
        }
    }
}

fn reported(fitted: &Fitted, files: Option<usize>) -> Finding {
    let check = "open files";
    let Fitted {
        section,
        wanted,
        max_connections,
        by_default,
        ..
    } = fitted;
    let Some(files) = files.filter(|_| max_connections < wanted) else {
        let found = format!("enough for the {wanted} connections of {section}");
        return Finding::ok(check, found);
    };
    let found = format!(
        "a process started like this one may open {files} files: {section} takes \
         {max_connections} connections, not {wanted}"
    );
    if *by_default && *max_connections >= FEW.min(*wanted) {
        return Finding::ok(check, found);
    }
    Finding::warn(
        check,
        found,
        format!(
            "raise the hard limit (`ulimit -Hn`, LimitNOFILE, ulimits.nofile), or lower \
             {section}.max_connections"
        ),
    )
}

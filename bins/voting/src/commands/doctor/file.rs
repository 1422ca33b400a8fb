//! The file of the all-in-one: whether it exists, is not damaged, is private, and has space to grow.

use std::path::{Path, PathBuf};

use voting_core::{
    backends::sqlite::{FileContent, FileReport, InspectError, inspect},
    error::in_one_line,
    model::moment::Moment,
};
use voting_service::anybody_may_read;

use super::{
    Visit,
    count::{Counted, Marks, judge, waiting},
    count_of,
    polls::{overdue, states},
    secret,
};
use crate::commands::report::{Finding, Level};

/// Free disk space in MiB, below which to warn, and below which ballots are soon refused.
const SPACE: [u64; 2] = [1024, 100];

pub(super) async fn check(visit: &mut Visit<'_>) {
    let path = visit.config.sqlite.path.clone();
    if !path.exists() {
        let found = format!(
            "{} is not there; it is made at the first start",
            path.display()
        );
        visit.add(Finding::ok("file", found));
        visit.add(space(&path));
        return;
    }
    visit.add(privacy(&path));
    visit.add(space(&path));
    let looking = path.clone();
    let look = tokio::task::spawn_blocking(move || inspect(&looking));
    let report = match tokio::time::timeout(visit.timeout, look).await {
        Ok(Ok(Ok(report))) => report,
        Ok(Ok(Err(error))) => {
            visit.add(unreadable(&error));
            return;
        }
        Ok(Err(error)) => {
            visit.add(Finding::unknown("file", error.to_string()));
            return;
        }
        Err(_) => {
            let found = "checking it takes longer than --timeout";
            visit.add(Finding::unknown("file", found));
            return;
        }
    };
    visit.add(soundness(&path, &report));
    if let Some(content) = &report.content {
        check_content(visit, content);
    }
}

fn unreadable(error: &InspectError) -> Finding {
    let text = in_one_line(error);
    match error {
        InspectError::Unopened(_) => {
            let found = format!("{text}: it was put back in part, or copied while in use");
            let todo = "if the -wal file belongs to another file, as after a restore, remove it";
            Finding {
                todo: Some(todo.to_owned()),
                ..Finding::unknown("file", found)
            }
        }
        _ => Finding::unknown("file", text),
    }
}

fn soundness(path: &Path, report: &FileReport) -> Finding {
    let check = "file";
    let shown = path.display();
    if !report.problems.is_empty() {
        return Finding::fail(
            check,
            format!("{shown} is damaged: {}", report.problems.join("; ")),
            "stop the system, keep a copy, and restore the backup into an empty folder",
        );
    }
    match report.versions_behind {
        0 => Finding::ok(check, format!("{shown} is sound, and of this version")),
        1.. => Finding::ok(
            check,
            format!("{shown} is sound; the next start brings it up to date"),
        ),
        _ => Finding::fail(
            check,
            format!("{shown} was written by a newer version"),
            "use a newer version of the program",
        ),
    }
}

fn check_content(visit: &mut Visit<'_>, content: &FileContent) {
    let FileContent {
        queue,
        totals,
        polls,
        dead_letters,
        ..
    } = content;
    let counted = Counted {
        accepted: queue.accepted,
        acknowledged: queue.accepted.saturating_sub(queue.pending),
    };
    let conservation = judge(counted, *totals, counted, Marks::Whole);
    // The numbers are from one snapshot of one file, so any difference is a fault.
    visit.add(match conservation.level {
        Level::Ok => conservation,
        _ => Finding::fail(
            "conservation",
            conservation.found,
            "restore the backup, and tell the developers",
        ),
    });
    visit.add(states(polls, Moment::now()));
    for finding in overdue(polls, Moment::now()) {
        visit.add(finding);
    }
    visit.add(waiting(dead_letters));
    secret::of_file(visit, content);
    let kept = visit.config.beside_database("secret");
    let is_given = visit.config.secret.is_some() || visit.config.secret_file.is_some();
    if !is_given && !kept.exists() && queue.accepted > 0 {
        visit.add(Finding::fail(
            "secrets",
            format!(
                "{} is missing, and there are {} that were cast under it",
                kept.display(),
                count_of(queue.accepted, "ballot")
            ),
            "put it back from the backup: with another one everybody could vote again",
        ));
    }
}

fn privacy(path: &Path) -> Finding {
    let check = "file rights";
    let files = ["", "-wal"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    });
    for file in files.iter().filter(|file| file.exists()) {
        let shown = file.display();
        match anybody_may_read(file) {
            Ok(false) => {}
            Ok(true) => {
                return Finding::fail(
                    check,
                    format!("{shown}, which says who voted for what, can be read by every user"),
                    format!("chmod o= {shown}"),
                );
            }
            Err(error) => return Finding::unknown(check, format!("{shown}: {error}")),
        }
    }
    Finding::ok(check, format!("{} is not for all to read", path.display()))
}

fn space(path: &Path) -> Finding {
    let check = "disk space";
    let there = path.ancestors().find(|folder| {
        let is_here = folder.as_os_str().is_empty();
        is_here || folder.exists()
    });
    let there = there.filter(|there| !there.as_os_str().is_empty());
    match free_mib(there.unwrap_or(Path::new("."))) {
        Ok(free) => room(free),
        Err(why) => Finding::unknown(check, why),
    }
}

fn room(free: u64) -> Finding {
    let check = "disk space";
    let found = format!("{free} MiB are free");
    let todo = "make room: on a full disk ballots are refused";
    match free {
        free if free < SPACE[1] => Finding::fail(check, found, todo),
        free if free < SPACE[0] => Finding::warn(check, found, todo),
        _ => Finding::ok(check, found),
    }
}

#[cfg(unix)]
fn free_mib(path: &Path) -> Result<u64, String> {
    let reported = rustix::fs::statvfs(path).map_err(|error| error.to_string())?;
    Ok(reported.f_bavail.saturating_mul(reported.f_frsize) >> 20)
}

#[cfg(not(unix))]
fn free_mib(_: &Path) -> Result<u64, String> {
    Err("is not looked at on this system".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_reported() {
        let level = |free| room(free).level;
        assert_eq!(
            [level(99), level(100), level(1023)],
            [Level::Fail, Level::Warn, Level::Warn]
        );
        assert_eq!(level(1024), Level::Ok);
    }
}

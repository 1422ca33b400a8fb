//! What a host does with a poll beside editing it: publish, open, close, archive, delete, recount.

use askama::Template;
use poem::Response;
use voting_core::{Poll, Tally, model::poll::Phase};

use super::{Frame, Visit, see};
use crate::{
    operator::changes::Expected, pages::templates::render, problem::Problem,
    views::result_texts::counted,
};

/// What is confirmed by typing the poll's id: it cannot be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Final {
    Close,
    ForgetVoters,
    Delete,
}

#[derive(Template)]
#[template(path = "host/confirm.html")]
struct ConfirmPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    id: String,
    title: String,
    action: &'static str,
    heading: &'static str,
    /// What it means, in sentences.
    meaning: Vec<String>,
    error: Option<String>,
    typed: String,
}

#[derive(Template)]
#[template(path = "host/recount.html")]
struct RecountPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    id: String,
    title: String,
    agrees: bool,
    /// The row's name, the stored number and the counted one.
    rows: Vec<(String, u64, u64)>,
}

impl Visit {
    /// The poll as the host saw it when the form was made.
    fn expected(&self) -> Expected {
        let revision = self.form.text("revision").parse();
        revision.map_or(Expected::Stored, Expected::Revision)
    }

    fn done(&self, poll: &Poll, done: &str) -> Response {
        see(&self.prefix, &format!("/polls/{}?done={done}", poll.id()))
    }
}

/// `POST /polls/:poll/publish`.
pub(super) async fn publish(visit: Visit) -> Result<Response, Problem> {
    let poll = visit.poll().await?;
    let service = &visit.parts().service;
    service
        .publish_poll(poll.id().as_str(), visit.expected(), visit.by())
        .await?;
    Ok(visit.done(&poll, "published"))
}

/// `POST /polls/:poll/open`.
pub(super) async fn open(visit: Visit) -> Result<Response, Problem> {
    let poll = visit.poll().await?;
    let service = &visit.parts().service;
    service
        .open_poll(poll.id().as_str(), visit.expected(), visit.by())
        .await?;
    Ok(visit.done(&poll, "opened"))
}

/// `POST /polls/:poll/archive`: into the archive, or out of it.
pub(super) async fn archive(visit: Visit) -> Result<Response, Problem> {
    let poll = visit.poll().await?;
    let archived = visit.form.text("archived") != "no";
    let service = &visit.parts().service;
    service
        .archive_poll(poll.id().as_str(), archived, visit.expected(), visit.by())
        .await?;
    let done = if archived { "archived" } else { "unarchived" };
    Ok(visit.done(&poll, done))
}

/// `POST /polls/:poll/recount`.
pub(super) async fn recount(visit: Visit) -> Result<Response, Problem> {
    let poll = visit.poll().await?;
    let recount = visit.parts().store.recount(poll.id()).await?;
    let recount = recount.ok_or_else(|| Problem::no_poll(poll.id().as_str()))?;
    visit.caller.may_see_result_of(&poll, recount.kept.voters)?;
    if !recount.agrees() {
        tracing::error!(poll = %poll.id(), ?recount, "the tally differs from the recounted ballots");
    }
    let numbers = |tally: &Tally| -> Vec<u64> {
        std::iter::once(tally.voters)
            .chain(tally.votes.iter().copied())
            .collect()
    };
    let names = std::iter::once("Voters".to_owned());
    let names = names.chain(poll.options().iter().map(|option| option.label.clone()));
    let both = numbers(&recount.kept)
        .into_iter()
        .zip(numbers(&recount.counted));
    let rows = names
        .zip(both)
        .map(|(name, (kept, counted))| (name, kept, counted));
    let frame = visit.frame();
    Ok(render(&RecountPage {
        base: frame.base.clone(),
        assets_version: frame.assets_version,
        frame,
        id: poll.id().to_string(),
        title: poll.title().to_owned(),
        agrees: recount.agrees(),
        rows: rows.collect(),
    }))
}

/// `GET` and `POST /polls/:poll/close`.
pub(super) async fn close(visit: Visit) -> Result<Response, Problem> {
    confirmed(visit, Final::Close).await
}

/// `GET` and `POST /polls/:poll/forget-voters`.
pub(super) async fn forget_voters(visit: Visit) -> Result<Response, Problem> {
    confirmed(visit, Final::ForgetVoters).await
}

/// `GET` and `POST /polls/:poll/delete`.
pub(super) async fn delete(visit: Visit) -> Result<Response, Problem> {
    confirmed(visit, Final::Delete).await
}

async fn confirmed(visit: Visit, what: Final) -> Result<Response, Problem> {
    let poll = visit.poll().await?;
    let typed = visit.form.get("confirm").map(str::trim);
    let service = &visit.parts().service;
    let (id, by) = (poll.id().as_str(), visit.by());
    match (what, typed) {
        (Final::Close, Some(typed)) if typed == id => {
            service.close_poll(id, by).await?;
            Ok(visit.done(&poll, "closed"))
        }
        (Final::ForgetVoters, Some(typed)) if typed == id => {
            let expected = Expected::Stored;
            service.forget_voters(id, Some(typed), expected, by).await?;
            Ok(visit.done(&poll, "voters-forgotten"))
        }
        (Final::Delete, Some(typed)) if typed == id => {
            let expected = Expected::Stored;
            service.delete_poll(id, Some(typed), expected, by).await?;
            Ok(see(&visit.prefix, "/?done=deleted"))
        }
        (_, None) => Ok(render(&confirm_page(&visit, &poll, what, None).await?)),
        (_, Some(typed)) => {
            let problem = Problem::invalid("The identifier is not the one of this poll.");
            let page = confirm_page(&visit, &poll, what, Some(typed)).await?;
            Ok(problem.finish(render(&page)))
        }
    }
}

async fn confirm_page(
    visit: &Visit,
    poll: &Poll,
    what: Final,
    typed: Option<&str>,
) -> Result<ConfirmPage, Problem> {
    let tally = visit.parts().store.tally(poll.id()).await?;
    let voters = tally.map_or(0, |tally| tally.voters);
    let meaning = match what {
        Final::Close => vec![
            "Voting ends now. Every vote that was confirmed to its voter counts.".to_owned(),
            "A poll that is closed cannot be opened again.".to_owned(),
        ],
        Final::ForgetVoters => vec![
            format!(
                "Of the votes of {}, only the number for each choice is kept. The result stays as it is, and can be \
                 counted again.",
                counted(voters, "voter")
            ),
            "Nobody can tell any more who cast which vote. A voter who asks what became of a vote is told so. This cannot \
             be undone."
                .to_owned(),
            "Backups of the database and entries that the ballot log keeps may still have the voters, until they are \
             deleted."
                .to_owned(),
        ],
        Final::Delete if poll.phase(visit.now) == Phase::Draft => {
            vec!["The draft is deleted. Nobody has voted in it.".to_owned()]
        }
        Final::Delete => vec![
            format!(
                "The poll is deleted, with the votes of {}. This cannot be undone.",
                counted(voters, "voter")
            ),
            "The audit log keeps that it was there. Its identifier cannot be used again."
                .to_owned(),
        ],
    };
    let frame = visit.frame();
    Ok(ConfirmPage {
        base: frame.base.clone(),
        assets_version: frame.assets_version,
        frame,
        id: poll.id().to_string(),
        title: poll.title().to_owned(),
        action: match what {
            Final::Close => "close",
            Final::ForgetVoters => "forget-voters",
            Final::Delete => "delete",
        },
        heading: match what {
            Final::Close => "Close this poll now",
            Final::ForgetVoters => "Forget the voters",
            Final::Delete => "Delete this poll",
        },
        meaning,
        error: typed.map(|_| format!("This is not the identifier: enter {}", poll.id())),
        typed: typed.unwrap_or_default().to_owned(),
    })
}

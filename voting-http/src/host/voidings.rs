//! The votes of a poll that an operator has voided, by which rules, and what the operator does about it.

use askama::Template;
use poem::Response;
use voting_core::{
    Poll,
    model::{
        code::Serial,
        moment::Moment,
        poll::{VoidedBallots, Voiding, Voters},
    },
};

use super::{Frame, Visit, times};
use crate::{
    operator::voidings::ToVoid,
    pages::templates::render,
    problem::Problem,
    views::{result_texts::counted, time_zones::UTC},
};

/// A rule in words.
struct Rule {
    number: u32,
    what: String,
    reason: String,
    made: String,
}

#[derive(Template)]
#[template(path = "host/voidings.html")]
struct VoidingsPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    id: String,
    title: String,
    voters: String,
    voided: String,
    rules: Vec<Rule>,
    /// Whether rules can be made and undone.
    is_open: bool,
    /// How many codes are revoked, if the poll has codes.
    revoked: Option<usize>,
    zone: String,
    typed: Typed,
    done: Option<&'static str>,
    error: Option<String>,
}

/// What was typed.
#[derive(Default)]
struct Typed {
    what: String,
    from: String,
    until: String,
    serials: String,
    reason: String,
    confirm: String,
}

impl VoidingsPage {
    fn is_chosen(&self, what: &str) -> bool {
        match self.typed.what.as_str() {
            "" => what == "span",
            chosen => chosen == what,
        }
    }
}

fn zone_of(poll: &Poll) -> &str {
    poll.settings().time_zone.as_deref().unwrap_or(UTC)
}

fn rule(poll: &Poll, rule: &Voiding) -> Rule {
    let zone = poll.settings().time_zone.as_deref();
    let at = |moment: Moment| times::for_people(moment, zone);
    Rule {
        number: rule.number(),
        what: match rule.ballots() {
            VoidedBallots::Span { from, until } => format!(
                "Votes that came from {} on and before {}",
                at(*from),
                at(*until)
            ),
            VoidedBallots::Codes(voters) => {
                let codes = u64::try_from(voters.ids().len()).unwrap_or(u64::MAX);
                format!("Votes with {}", counted(codes, "revoked code"))
            }
            VoidedBallots::HandedIn => "Votes that were handed in by a server".to_owned(),
            _ => "Votes of a kind that this page does not know".to_owned(),
        },
        reason: rule.reason().to_owned(),
        made: at(rule.at()),
    }
}

async fn page(
    visit: &Visit,
    poll: &Poll,
    typed: Typed,
    problem: Option<&Problem>,
) -> Result<Response, Problem> {
    let tally = visit.parts().store.tally(poll.id()).await?;
    let (voters, voided) = tally.map_or((0, 0), |tally| (tally.voters, tally.voided));
    let frame = visit.frame();
    let page = render(&VoidingsPage {
        base: frame.base.clone(),
        assets_version: frame.assets_version,
        frame,
        id: poll.id().to_string(),
        title: poll.title().to_owned(),
        voters: counted(voters, "voter"),
        voided: counted(voided, "vote"),
        rules: poll
            .voidings()
            .iter()
            .map(|each| rule(poll, each))
            .collect(),
        is_open: !poll.is_draft() && !poll.state().is_final(),
        revoked: (poll.settings().voters == Voters::Codes).then(|| poll.codes().revoked()),
        zone: zone_of(poll).to_owned(),
        typed,
        done: match visit.query("done").as_deref() {
            Some("voided") => Some("These votes do not count any more."),
            Some("undone") => {
                Some("The rule is undone. The votes count again that no other rule voids.")
            }
            _ => None,
        },
        error: problem.map(|problem| problem.detail().to_owned()),
    });
    Ok(match problem {
        Some(problem) => problem.finish(page),
        None => page,
    })
}

/// `GET /polls/:poll/voidings`.
pub(super) async fn show(visit: Visit) -> Result<Response, Problem> {
    let poll = visit.poll().await?;
    page(&visit, &poll, Typed::default(), None).await
}

fn to_void(poll: &Poll, typed: &Typed) -> Result<ToVoid, Problem> {
    if typed.confirm != poll.id().as_str() {
        return Err(Problem::invalid(format!(
            "To confirm, enter the identifier of this poll: {}",
            poll.id()
        )));
    }
    match typed.what.as_str() {
        "handed-in" => Ok(ToVoid::HandedIn),
        "revoked" => Ok(ToVoid::RevokedCodes),
        "codes" => {
            let serials = typed.serials.split([',', ' ', ';', '\n', '\r', '\t']);
            let serials = serials.filter(|serial| !serial.is_empty());
            let serials: Result<Vec<Serial>, _> = serials.map(str::parse).collect();
            match serials {
                Ok(serials) if !serials.is_empty() => Ok(ToVoid::Codes(serials)),
                _ => Err(Problem::invalid(
                    "Enter the serial numbers of the codes, such as 17, 203.",
                )),
            }
        }
        "span" => {
            let name = zone_of(poll);
            let zone = times::zone(name)
                .ok_or_else(|| Problem::invalid(format!("The time zone {name} is not known.")))?;
            // Where a time comes twice, the span is the longer one.
            let moment = |text: &str, which| {
                let moment = times::moment(text, &zone, Some(which));
                moment.map_err(|bad| Problem::invalid(bad.text(name)))
            };
            Ok(ToVoid::Span {
                from: moment(&typed.from, times::Which::First)?,
                until: moment(&typed.until, times::Which::Second)?,
            })
        }
        _ => Err(Problem::invalid("Choose which votes to void.")),
    }
}

/// `POST /polls/:poll/voidings`: a rule is made.
pub(super) async fn make(visit: Visit) -> Result<Response, Problem> {
    let poll = visit.poll().await?;
    let text = |name: &str| visit.form.text(name).trim().to_owned();
    let typed = Typed {
        what: text("what"),
        from: text("from"),
        until: text("until"),
        serials: text("serials"),
        reason: text("reason"),
        confirm: text("confirm"),
    };
    let service = &visit.parts().service;
    let made = match to_void(&poll, &typed) {
        Ok(what) => {
            let (id, by) = (poll.id().as_str(), visit.by());
            service.void_ballots(id, what, &typed.reason, by).await
        }
        Err(problem) => Err(problem),
    };
    match made {
        Ok(_) => Ok(super::see(
            &visit.prefix,
            &format!("/polls/{}/voidings?done=voided", poll.id()),
        )),
        Err(problem) if problem.status().is_client_error() => {
            page(&visit, &poll, typed, Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}

/// `POST /polls/:poll/voidings/:number/undo`.
pub(super) async fn undo(visit: Visit) -> Result<Response, Problem> {
    let poll = visit.poll().await?;
    let number = visit.request.raw_path_param("number").unwrap_or_default();
    let service = &visit.parts().service;
    let undone = service
        .undo_voiding(poll.id().as_str(), number, visit.by())
        .await;
    match undone {
        Ok(_) => Ok(super::see(
            &visit.prefix,
            &format!("/polls/{}/voidings?done=undone", poll.id()),
        )),
        Err(problem) if problem.status().is_client_error() => {
            page(&visit, &poll, Typed::default(), Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}

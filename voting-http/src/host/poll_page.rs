//! One poll: where it is in its life, its figures, and what the host can do with it.

use std::net::IpAddr;

use askama::Template;
use jiff::tz::TimeZone;
use poem::{Response, http::Uri};
use voting_core::{
    Poll, Tally,
    model::{
        moment::Moment,
        new_voters::NewVoters,
        poll::{OptionOrder, Phase, ShowResults, Voters},
    },
};

use super::{Frame, Visit, list, times};
use crate::{
    pages::{qr, templates::render},
    problem::Problem,
    texts::Texts,
    views::{result_texts::counted, shares::shares},
};

/// A moment of the poll.
struct When {
    /// Such as `Opens`.
    word: &'static str,
    /// For people, in the poll's zone.
    at: String,
    /// For programs.
    moment: String,
    /// How long until then, in words.
    until: Option<String>,
}

/// The figures of one option.
struct OptionRow {
    label: String,
    votes: String,
    share: String,
    /// How much of the bar is full, such as `66.7%`.
    bar: String,
}

/// The new voters of a minute.
struct MinuteRow {
    at: String,
    voters: String,
    /// How much of the bar is full, such as `66.7%`.
    bar: String,
}

/// How many minutes with new voters are shown.
const MINUTES: usize = 60;

#[derive(Template)]
#[template(path = "host/poll.html")]
struct PollPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    id: String,
    title: String,
    phase: Phase,
    /// How many changes the poll had, as it is shown here.
    revision: u64,
    /// What the state means, in a sentence.
    standing: &'static str,
    /// A change of times or rules that has not reached the whole log yet.
    is_changing: bool,
    paragraphs: Vec<String>,
    times: Vec<When>,
    /// How many have voted.
    turnout: String,
    options: Vec<OptionRow>,
    /// Why there are no figures, if who is signed in may not see them.
    hidden: Option<String>,
    max_choices: usize,
    lag: String,
    /// Who else sees these figures.
    seen_by: &'static str,
    /// How many votes are voided, in words, or that they can be; none if none are, and none can be.
    voided: Option<String>,
    /// The minutes in which the newest voters came, the oldest first.
    new_voters: Vec<MinuteRow>,
    /// The time zone of these minutes.
    zone: String,
    /// Whether voters have codes.
    has_codes: bool,
    /// Whether the voters can be forgotten.
    has_voters_to_forget: bool,
    /// What was set, in sentences.
    rules: Vec<String>,
    /// The address for voters, if it is known.
    vote_url: Option<String>,
    /// The page on which everybody sees the result.
    result_url: Option<String>,
    /// Whether this page hides the figures from some.
    hides_figures: bool,
    /// The modules of the QR code of this address, as the path of an SVG, and its size in modules.
    qr: Option<(String, usize)>,
}

/// Who sees the figures beside the host, in words.
pub(super) fn seen_by(results: ShowResults, phase: Phase) -> &'static str {
    match (results, phase) {
        (_, Phase::Draft) => "Voters do not see a draft.",
        (ShowResults::Host, _) => "Only hosts see these figures.",
        (ShowResults::Always, _) => "Everybody sees these figures.",
        (_, Phase::Final | Phase::Archived) => {
            "Everybody sees these figures, since the poll is closed."
        }
        (ShowResults::AfterClose, _) => {
            "Only hosts see these figures now. Everybody sees them once the poll is closed."
        }
        (ShowResults::AfterVote, _) => {
            "Who has voted sees these figures, and everybody once the poll is closed."
        }
    }
}

fn standing(phase: Phase) -> &'static str {
    match phase {
        Phase::Draft => {
            "Nobody can vote yet. Publish the poll to open it, or to have it open at its time."
        }
        Phase::Scheduled => "The poll is published and opens at its time.",
        Phase::Open => "Voters can vote now.",
        Phase::Closing => "Voting has ended. The last votes are being counted.",
        Phase::Final => "The poll is closed. All votes are counted, and the result stays as it is.",
        Phase::Archived => "The poll is closed, and is in no list.",
    }
}

fn rules(poll: &Poll) -> Vec<String> {
    let settings = poll.settings();
    let mut rules = vec![match poll.max_choices() {
        1 => "Each voter chooses one option.".to_owned(),
        max => format!("Each voter chooses up to {max} options."),
    }];
    if settings.voters == Voters::Codes {
        rules.push("Whoever has a code of this poll can vote.".into());
    }
    if settings.voters == Voters::Identity {
        rules.push("Voters sign in to vote.".into());
    }
    if !settings.groups.is_empty() {
        rules.push(format!(
            "They must be in one of these groups: {}.",
            settings.groups.join(", ")
        ));
    }
    if !settings.email_domains.is_empty() {
        let domains = settings.email_domains.join(", ");
        rules.push(format!(
            "They must have a verified e-mail address of: {domains}."
        ));
    }
    rules.push(match settings.revote {
        true => "Voters can change their vote: the last one counts.".into(),
        false => "The first vote of each voter counts, and stays.".into(),
    });
    if settings.blank {
        rules.push("Voters can vote blank: for none of the options.".into());
    }
    if settings.order == OptionOrder::Shuffled {
        rules.push("Each voter sees the options in an order of their own.".into());
    }
    if !settings.listed {
        rules.push("The poll is in no list: voters need its address.".into());
    }
    if let Some(language) = &settings.language {
        rules.push(format!("The language of the texts is {language}."));
    }
    if let Some(at) = poll.voters_forgotten_at() {
        let at = times::for_people(at, settings.time_zone.as_deref());
        rules.push(format!(
            "The voters are forgotten since {at}. Backups from before may still have them."
        ));
    } else if let Some(days) = settings.forget_voters_days {
        rules.push(match days {
            0 => "Its voters are forgotten within an hour after it was closed.".to_owned(),
            days => {
                let days = counted(days.into(), "day");
                format!("Its voters are forgotten {days} after it was closed.")
            }
        });
    }
    if let Some(days) = settings.retention_days {
        let days = counted(days.into(), "day");
        rules.push(format!("It is deleted {days} after it was closed."));
    }
    rules
}

fn times_of(poll: &Poll, phase: Phase, now: Moment) -> Vec<When> {
    let settings = poll.settings();
    let zone = settings.time_zone.as_deref();
    let when = |word: [&'static str; 2], at: Moment| {
        let is_past = at <= now && phase != Phase::Draft;
        When {
            word: word[usize::from(is_past)],
            at: times::for_people(at, zone),
            moment: at.to_string(),
            until: (!is_past && at > now).then(|| times::until(at, now)),
        }
    };
    let opens = settings.opens_at.map(|at| when(["Opens", "Opened"], at));
    let is_over = !matches!(phase, Phase::Draft | Phase::Scheduled | Phase::Open);
    let closes = settings.closes_at.map(|at| match is_over && at > now {
        // Somebody has closed it before.
        true => When {
            word: "Was to close",
            until: None,
            ..when(["", ""], at)
        },
        false => when(["Closes", "Closed"], at),
    });
    let counted = poll.final_at().map(|at| when(["Final", "Final since"], at));
    [opens, closes, counted].into_iter().flatten().collect()
}

fn option_rows(poll: &Poll, tally: &Tally) -> Vec<OptionRow> {
    let shares = shares(poll, &tally.votes, tally.voters, Texts::english());
    let options = poll.options().iter().zip(&tally.votes).zip(shares);
    let rows = options.map(|((option, votes), share)| OptionRow {
        label: option.label.clone(),
        votes: counted(*votes, "vote"),
        share: share.text,
        bar: format!("{}.{}%", share.bar / 10, share.bar % 10),
    });
    rows.collect()
}

fn minute_rows(minutes: &[NewVoters], zone: &TimeZone) -> Vec<MinuteRow> {
    let most = minutes.iter().map(|of| of.voters).max().unwrap_or(0).max(1);
    let rows = minutes.iter().rev().map(|of| {
        let thousandths = of.voters * 1_000 / most;
        let (at, _) = times::local(of.minute, zone);
        MinuteRow {
            at: at.replace('T', " "),
            voters: counted(of.voters, "voter"),
            bar: format!("{}.{}%", thousandths / 10, thousandths % 10),
        }
    });
    rows.collect()
}

/// `GET /polls/:poll`.
pub(super) async fn show(visit: Visit) -> Result<Response, Problem> {
    let poll = visit.poll().await?;
    let phase = poll.phase(visit.now);
    let tally = visit.parts().store.tally(poll.id()).await?;
    let tally = tally.unwrap_or_else(|| Tally::empty(poll.id().clone(), poll.options().len()));
    let hidden = visit.caller.may_see_result_of(&poll, tally.voters).err();
    let vote_url = visit.parts().site.whole_peer_url(&visit.request, poll.id());
    let result_url = visit
        .parts()
        .site
        .whole_result_url(&visit.request, poll.id());
    let qr = vote_url.as_deref().and_then(qr::path);
    let id = poll.id().as_str();
    let service = &visit.parts().service;
    let minutes = service.new_voters(id, None, MINUTES).await?;
    let zone = poll.settings().time_zone.as_deref();
    let (name, zone) = match zone.and_then(|name| Some((name, times::zone(name)?))) {
        Some(known) => known,
        None => (times::UTC, TimeZone::UTC),
    };
    let frame = visit.frame();
    Ok(render(&PollPage {
        new_voters: minute_rows(&minutes, &zone),
        zone: name.to_owned(),
        base: frame.base.clone(),
        assets_version: frame.assets_version,
        frame,
        id: poll.id().to_string(),
        title: poll.title().to_owned(),
        phase,
        revision: poll.revision(),
        standing: standing(phase),
        is_changing: poll.pending_window().is_some(),
        paragraphs: paragraphs(&poll.settings().description),
        times: times_of(&poll, phase, visit.now),
        turnout: counted(tally.voters, "voter"),
        options: match hidden {
            None => option_rows(&poll, &tally),
            Some(_) => Vec::new(),
        },
        hidden: hidden.map(|problem| problem.detail().to_owned()),
        max_choices: poll.max_choices(),
        lag: list::lag(&visit).await,
        voided: (!poll.is_draft() && (tally.voided > 0 || !poll.state().is_final())).then(|| {
            match tally.voided {
                0 => "Void votes".to_owned(),
                votes => format!("{} voided", counted(votes, "vote")),
            }
        }),
        has_codes: poll.settings().voters == Voters::Codes,
        has_voters_to_forget: poll.state().is_final() && !poll.voters_are_forgotten(),
        seen_by: seen_by(poll.settings().results, phase),
        rules: rules(&poll),
        vote_url,
        result_url,
        hides_figures: poll.settings().results != ShowResults::Always
            && !(poll.state().is_final() && poll.settings().results != ShowResults::Host),
        qr,
    }))
}

/// Whether an address is the same computer's, whoever opens it: a host who tries the system alone gets such an address.
fn is_of_this_computer(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else {
        return false;
    };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let ip = host.parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

fn paragraphs(text: &str) -> Vec<String> {
    let parts = text.split("\n\n").filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

impl PollPage {
    fn phase_word(&self) -> &'static str {
        list::phase_word(self.phase)
    }

    /// Whether the address for voters leads nowhere from another device.
    fn is_for_this_computer_only(&self) -> bool {
        self.vote_url.as_deref().is_some_and(is_of_this_computer)
    }

    fn is_draft(&self) -> bool {
        self.phase == Phase::Draft
    }

    /// Whether all ballots are counted, and nothing changes any more.
    fn is_final(&self) -> bool {
        matches!(self.phase, Phase::Final | Phase::Archived)
    }

    fn is_archived(&self) -> bool {
        self.phase == Phase::Archived
    }

    /// Whether the figures can change while the page is looked at.
    fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Scheduled | Phase::Open | Phase::Closing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_computer_only_is_known() {
        for url in [
            "http://localhost:8080/polls/a",
            "http://127.0.0.1:8080/polls/a",
            "http://[::1]:8080/polls/a",
        ] {
            assert!(is_of_this_computer(url), "{url}");
        }
        for url in [
            "https://vote.example.org/polls/a",
            "http://192.168.0.7:8080/polls/localhost",
            "http://localhost.example.org/polls/a",
        ] {
            assert!(!is_of_this_computer(url), "{url}");
        }
    }
}

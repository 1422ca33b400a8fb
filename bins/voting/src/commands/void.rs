//! `voting void`: voids ballots of a poll that is not final, lists the rules by which they are, and undoes them.

use clap::Args;
use voting_core::{
    Poll, PollId, PollStore, StoreError, TallyStore,
    model::{
        code::Serial,
        moment::Moment,
        poll::{
            BadText, ChangeTo, NewVoided, NewVoiding, PollChange, VoidedBallots, Voiding,
            check_text,
        },
        poll_key::{PollKeyError, PollKeyWrap},
    },
};
use voting_service::{Config, Exit, SecretError, announce};

use super::{
    codes::poll_keys,
    target::{self, CannotOpen, Target},
};

/// Who voids ballots here, in the audit log.
const BY: &str = "voting-void";

/// Void ballots of a poll that is not final: they do not count until the rule is undone
///
/// A rule names the ballots of a span of time (--from and --until), of all revoked codes, of some revoked codes, or those that
/// trusted servers have handed in. It holds
/// for ballots that are stored later, too. Without any of these options the rules of the poll are listed. A rule can be
/// undone until the poll is final.
///
/// Works on Postgres if the settings name it, also while the services run; else on the file of the all-in-one, which must be
/// stopped.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").args(["from", "revoked_codes", "codes", "handed_in", "undo"]))]
pub(crate) struct Void {
    /// The id of the poll
    #[arg(value_name = "POLL")]
    poll: PollId,
    /// The first moment of the span, such as 2026-11-27T18:00:00Z
    #[arg(long, value_name = "MOMENT", requires = "until")]
    from: Option<Moment>,
    /// The moment after the last one of the span
    #[arg(long, value_name = "MOMENT", requires = "from")]
    until: Option<Moment>,
    /// Ballots that were cast with the codes which are revoked now
    #[arg(long)]
    revoked_codes: bool,
    /// Ballots that were cast with the codes of these serial numbers, all of them revoked
    #[arg(long, value_name = "SERIAL", value_delimiter = ',')]
    codes: Vec<Serial>,
    /// Ballots that trusted servers have handed in, also those that they hand in later
    #[arg(long)]
    handed_in: bool,
    /// Undo the rule of this number
    #[arg(long, value_name = "NUMBER")]
    undo: Option<u32>,
    /// Why, for the audit log
    #[arg(
        long,
        value_name = "TEXT",
        required_if_eq("revoked_codes", "true"),
        conflicts_with = "undo"
    )]
    reason: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotVoid {
    #[error(transparent)]
    Open(#[from] CannotOpen),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("say why with --reason")]
    NoReason,
    #[error("the reason cannot be taken: {0}")]
    Reason(#[from] BadText),
    #[error("there is no poll {0}")]
    NoPoll(PollId),
    #[error("poll {0} has no codes that are revoked")]
    NoRevokedCodes(PollId),
    #[error("codes need the key of the workers and the vote services: set entry_key_file")]
    NoKey,
    #[error(transparent)]
    Key(#[from] PollKeyError),
    #[error("cannot change which ballots of poll {0} are voided")]
    Store(PollId, #[source] StoreError),
}

impl Void {
    pub(crate) async fn run(&self, config: &Config) -> Result<Exit, CannotVoid> {
        let target = Target::of(config)?;
        let keys = match self.names_codes() {
            true => poll_keys(config)?,
            false => None,
        };
        let keys = keys.as_ref();
        match target {
            Target::Postgres => self.change(&target::postgres(config)?, keys).await,
            Target::File(path) => self.change(&target::file(path)?, keys).await,
        }
    }

    fn names_codes(&self) -> bool {
        self.revoked_codes || !self.codes.is_empty()
    }

    async fn change(
        &self,
        store: &(impl PollStore + TallyStore),
        keys: Option<&PollKeyWrap>,
    ) -> Result<Exit, CannotVoid> {
        let id = &self.poll;
        let failed = |error| CannotVoid::Store(id.clone(), error);
        let none = || CannotVoid::NoPoll(id.clone());
        let mut poll = store.poll(id).await.map_err(failed)?.ok_or_else(none)?;
        if let Some(to) = self.to(&poll, keys)? {
            let change = PollChange::new(id.clone(), to);
            let changed = store.change_poll(&change, BY).await.map_err(failed)?;
            poll = changed.ok_or_else(none)?;
        }
        let tally = store.tally(id).await.map_err(failed)?.ok_or_else(none)?;
        let rules: String = poll.voidings().iter().map(line).collect();
        announce(&format!(
            "{id}: {} voters count, the ballots of {} are voided, by {} rules.\n{rules}",
            tally.voters,
            tally.voided,
            poll.voidings().iter().count()
        ));
        Ok(Exit::Clean)
    }

    /// What is to be done; nothing if the rules are to be listed.
    fn to(&self, poll: &Poll, keys: Option<&PollKeyWrap>) -> Result<Option<ChangeTo>, CannotVoid> {
        if let Some(number) = self.undo {
            return Ok(Some(ChangeTo::VoidingUndone(number)));
        }
        let ballots = match (self.from, self.until) {
            (Some(from), Some(until)) => NewVoided::Span { from, until },
            _ if self.handed_in => NewVoided::HandedIn,
            _ if self.names_codes() => self.codes_of(poll, keys)?,
            _ => return Ok(None),
        };
        let reason = self.reason.as_deref().ok_or(CannotVoid::NoReason)?;
        let reason = check_text(reason)?;
        Ok(Some(ChangeTo::Voided(Box::new(NewVoiding {
            ballots,
            reason,
        }))))
    }

    fn codes_of(&self, poll: &Poll, keys: Option<&PollKeyWrap>) -> Result<NewVoided, CannotVoid> {
        let serials: Vec<Serial> = match self.revoked_codes {
            true => poll.codes().revoked_serials().collect(),
            false => self.codes.clone(),
        };
        let wrapped = poll.wrapped_key().filter(|_| !serials.is_empty());
        let wrapped = wrapped.ok_or_else(|| CannotVoid::NoRevokedCodes(poll.id().clone()))?;
        let key = keys.ok_or(CannotVoid::NoKey)?.open(poll.id(), wrapped)?;
        let codes = serials.into_iter();
        let codes = codes.map(|serial| (serial, key.holder(serial)));
        Ok(NewVoided::Codes(codes.collect()))
    }
}

/// A rule, in a line.
fn line(rule: &Voiding) -> String {
    let what = match rule.ballots() {
        VoidedBallots::Span { from, until } => format!("from {from} until {until}"),
        VoidedBallots::Codes(voters) => format!("{} revoked codes", voters.ids().len()),
        VoidedBallots::HandedIn => "handed in by trusted servers".to_owned(),
        _ => "a rule of a newer program".to_owned(),
    };
    format!("{}: {what}: {}\n", rule.number(), rule.reason())
}

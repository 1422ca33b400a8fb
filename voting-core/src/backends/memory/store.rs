//! The store of the memory back end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque, btree_map::Entry};

use async_trait::async_trait;

use super::{Memory, webhook_tables::Webhooks};
use crate::{
    error::StoreError,
    log::entry,
    model::{
        ballot::{Choices, VoterId},
        id::{PollId, TokenName},
        moment::Moment,
        new_voters::NewVoters,
        poll::{self, Poll, PollChange, log_changes},
        poll_state::Seals,
        position::{EntryId, EntryKey, Position, ShardId},
        receipt::{Receipt, ReceiptState},
        rejection::RejectReason,
        source::Source,
        tally::{Recount, Tally, TallyDelta},
        vote_history::{HistoryChange, VOTERS, VoteHistory},
    },
    store::{
        AuditLog, BatchFlusher, DeadLetterStore, EventStore, ExportStore, PollDirectory, PollStore,
        TallyStore, TokenStore,
        audit::{AuditEntry, AuditNote},
        batch::Batch,
        dead_letter::{DeadLetter, LISTED, MAX_PAYLOAD, and_one_more},
        events::{self, Event, Events, Mark, NewEvent, News},
        export::{BallotExport, check_exportable},
        older::Older,
        outcome::{FlushOutcome, Flushed, Totals},
        sessions::HostSession,
        tokens::{NamedToken, TokenHash},
        unsigned::UnsignedStore,
    },
};

#[derive(Debug, Default)]
pub(super) struct Store {
    /// In the order in which they were put.
    polls: Vec<StoredPoll>,
    dead_letters: BTreeMap<Position, DeadLetter>,
    applied: BTreeSet<EntryKey>,
    /// Marks below this are not kept: all of them are applied.
    applied_below: HashMap<ShardId, EntryId>,
    superseded: u64,
    deleted: BTreeMap<PollId, Tombstone>,
    audit_log: Vec<AuditEntry>,
    pub(super) events: VecDeque<Event>,
    pub(super) newest_event: u64,
    pub(super) webhooks: Webhooks,
    /// By name: what was last told, when, and of which poll.
    marks: HashMap<String, (String, Moment, Option<PollId>)>,
    tokens: BTreeMap<TokenName, NamedToken>,
    sessions: HashMap<TokenHash, HostSession>,
    unsigned_until: HashMap<ShardId, EntryId>,
}

#[derive(Debug)]
struct StoredPoll {
    poll: Poll,
    tally: Tally,
    ballots: HashMap<VoterId, (Position, Source, Choices)>,
    /// How many ballots there are of each choice, once the voters are forgotten.
    without_voters: BTreeMap<Choices, u64>,
    /// By the number of the minute.
    new_voters: BTreeMap<u64, u64>,
    /// By the last second of the span, and the counter.
    history: BTreeMap<(u64, usize), i64>,
}

impl StoredPoll {
    fn forget_voters(&mut self) {
        self.history.retain(|(_, counter), _| *counter == VOTERS);
        for (voter, (position, source, choices)) in std::mem::take(&mut self.ballots) {
            let choices = self.poll.counted(voter, position, source, choices);
            *self.without_voters.entry(choices).or_default() += 1;
        }
    }

    /// The poll becomes this one, by whose rules other ballots are voided.
    fn void_by(&mut self, after: &Poll) -> Result<(), StoreError> {
        let mut moved = TallyDelta::default();
        for (voter, (position, source, choices)) in &self.ballots {
            let was = self.poll.counted(*voter, *position, *source, *choices);
            let is = after.counted(*voter, *position, *source, *choices);
            moved.record_all(was, is, 1);
        }
        self.tally.version += u64::from(moved.changed());
        self.keep_history(&moved.clone().happening_at(Moment::now()));
        self.tally.add(&moved)
    }

    fn keep_history(&mut self, delta: &TallyDelta) {
        let first = self.history.keys().next().map(|(until, _)| *until);
        for change in delta.history(&self.poll, first) {
            *self
                .history
                .entry((change.until, change.counter))
                .or_default() += change.by;
        }
    }

    /// What each counted ballot chooses.
    fn choices(&self) -> impl Iterator<Item = Choices> {
        let without_voters = self.without_voters.iter();
        let without_voters =
            without_voters.flat_map(|(choices, ballots)| (0..*ballots).map(|_| *choices));
        let ballots = self
            .ballots
            .iter()
            .map(|(voter, (position, source, choices))| {
                // By the rules, and not as the tally was moved.
                self.poll.counted(*voter, *position, *source, *choices)
            });
        ballots.chain(without_voters)
    }
}

/// What stays of a poll that was deleted.
#[derive(Debug)]
struct Tombstone {
    seals: Seals,
    /// The number of voters whose ballots counted.
    voters: u64,
}

impl Store {
    fn poll(&self, id: &PollId) -> Option<&StoredPoll> {
        self.polls.iter().find(|stored| stored.poll.id() == id)
    }

    fn change_poll(&mut self, change: &PollChange, by: &str) -> Result<Option<Poll>, StoreError> {
        let id = &change.poll;
        let index = self.polls.iter().position(|s| s.poll.id() == id);
        if index.is_none() && self.deleted.contains_key(id) {
            return Err(StoreError::PollDeleted(id.clone()));
        }
        let before = index.map(|index| self.polls[index].poll.clone());
        let now = Moment::now();
        let changed = poll::change(before.as_ref(), change, now)?;
        let events = events::of_change(before.as_ref(), &changed, now);
        let opening = before
            .as_ref()
            .filter(|_| changed.is_changed)
            .and_then(|poll| events::opening(poll, now));
        let forgets_voters = changed.forgets_voters(before.as_ref());
        let voids_other_ballots = changed.voids_other_ballots(before.as_ref());
        let after = changed.poll;
        match (index, &after) {
            (Some(index), Some(after)) => {
                if voids_other_ballots {
                    self.polls[index].void_by(after)?;
                }
                self.polls[index].poll = after.clone();
                if forgets_voters {
                    self.polls[index].forget_voters();
                    self.empty_dead_letters(id);
                }
            }
            (None, Some(after)) => self.polls.push(StoredPoll {
                poll: after.clone(),
                tally: Tally::empty(id.clone(), after.options().len()),
                ballots: HashMap::new(),
                without_voters: BTreeMap::new(),
                new_voters: BTreeMap::new(),
                history: BTreeMap::new(),
            }),
            (Some(index), None) => {
                self.bury(index);
            }
            (None, None) => {}
        }
        if let Some((mark, event)) = opening {
            self.add_if_news(&mark, &event);
        }
        for event in events {
            self.add_event(event);
        }
        if let Some(note) = changed.note {
            self.add_to_audit_log(AuditNote::of_change(id, note, by));
        }
        log_changes(before.as_ref(), after.as_ref());
        Ok(after)
    }

    /// Removes a poll with its ballots, and keeps its id from being used again.
    fn bury(&mut self, index: usize) {
        let StoredPoll { poll, tally, .. } = self.polls.remove(index);
        let tombstone = Tombstone {
            seals: poll.state().seals().clone(),
            voters: tally.rows(),
        };
        self.deleted.insert(poll.id().clone(), tombstone);
        self.marks
            .retain(|_, (_, _, of)| of.as_ref() != Some(poll.id()));
        self.empty_dead_letters(poll.id());
    }

    /// Removes the ballot from each dead letter of a single ballot in this poll.
    fn empty_dead_letters(&mut self, poll: &PollId) {
        let beginnings = entry::beginnings_of_one(poll);
        for letter in self.dead_letters.values_mut() {
            let payload = &letter.payload;
            if beginnings.iter().any(|begins| payload.starts_with(begins)) {
                letter.payload.clear();
                letter.detail.clear();
            }
        }
    }

    pub(super) fn add_to_audit_log(&mut self, note: AuditNote) {
        let last = self.audit_log.last().map_or(0, |entry| entry.number);
        self.audit_log.push(AuditEntry {
            number: last + 1,
            at: Moment::now(),
            note,
        });
    }

    fn add_if_news(&mut self, mark: &Mark, event: &NewEvent) -> bool {
        let now = Moment::now();
        let last = self.marks.get(&mark.name);
        let last = last.map(|(value, at, _)| (value.as_str(), *at));
        let (news, added_at) = (mark.news(last, now), last.map(|(_, at)| at));
        let is_added = news == News::Added;
        if news != News::None {
            let at = if is_added {
                now
            } else {
                added_at.unwrap_or(now)
            };
            let noted = (mark.value.clone(), at, event.poll.clone());
            self.marks.insert(mark.name.clone(), noted);
        }
        if is_added {
            self.add_event(event.clone());
        }
        is_added
    }

    fn add_event(&mut self, what: NewEvent) {
        self.newest_event += 1;
        let event = Event::new(self.newest_event, what);
        self.events.push_back(event);
    }

    /// Marks the batch's entries as applied and says which were not so before.
    fn mark_applied(&mut self, batch: &Batch) -> HashSet<EntryKey> {
        let mut fresh = HashSet::new();
        for ((shard, id), _) in &batch.entries {
            let below = self
                .applied_below
                .get(shard)
                .is_some_and(|below| id < below);
            if !below && self.applied.insert((*shard, *id)) {
                fresh.insert((*shard, *id));
            }
        }
        for (shard, acknowledged_below) in &batch.acknowledged_below {
            let below = self.applied_below.entry(*shard).or_insert(EntryId::MIN);
            *below = (*below).max(*acknowledged_below);
            let below = *below;
            self.applied.retain(|(of, id)| of != shard || *id >= below);
        }
        fresh
    }

    fn flush(&mut self, batch: &Batch) -> Result<Flushed, StoreError> {
        // Before anything changes: a batch is written whole or not at all.
        batch.check(|id| {
            let stored = self.poll(id)?;
            Some((stored.poll.state(), stored.poll.version()))
        })?;
        let fresh = self.mark_applied(batch);
        let removed = batch
            .revived
            .iter()
            .map(|revival| revival.position)
            .filter(|position| self.dead_letters.remove(position).is_some())
            .collect();
        let mut outcome = FlushOutcome::new(batch, fresh, &removed);
        let dead = outcome
            .replays(batch)
            .map(|placed| placed.position)
            .filter(|position| self.dead_letters.contains_key(position))
            .collect();
        let mut older = Older::new(batch, dead);
        for placed in batch.ballots.iter().filter_map(|p| older.alive(p)) {
            let ballot = &placed.ballot;
            let Some(stored) = self.polls.iter_mut().find(|s| *s.poll.id() == ballot.poll) else {
                continue;
            };
            let source = batch.source(placed.position);
            let row = (placed.position, source, ballot.choices);
            let old = stored.ballots.get(&ballot.voter);
            let counts = |(stored, ..): &(Position, Source, Choices)| {
                batch.counts_before(&ballot.poll, placed.position, *stored)
            };
            if old.is_none_or(counts) {
                let old = stored.ballots.insert(ballot.voter, row);
                let counted = |(position, source, choices)| {
                    stored.poll.counted(ballot.voter, position, source, choices)
                };
                outcome.written(placed, counted(row), old.map(counted));
            }
        }
        for letter in &batch.dead_letters {
            if let Entry::Vacant(new) = self.dead_letters.entry(letter.position) {
                new.insert(letter.bounded().into_owned());
                outcome.rejected(letter);
            }
        }
        let flushed = outcome.finish();
        self.superseded += flushed.report.superseded;
        for (id, delta) in &flushed.tallies {
            if let Some(stored) = self.polls.iter_mut().find(|s| s.poll.id() == id) {
                stored.tally.version += u64::from(delta.changed());
                stored.tally.add(delta)?;
                for (minute, voters) in delta.new_voters() {
                    *stored.new_voters.entry(minute).or_default() += voters;
                }
                stored.keep_history(delta);
            }
        }
        Ok(flushed)
    }

    fn recount(&self, id: &PollId) -> Result<Option<Recount>, StoreError> {
        let Some(stored) = self.poll(id) else {
            return Ok(None);
        };
        let mut counted = Tally::empty(id.clone(), stored.poll.options().len());
        counted.version = stored.tally.version;
        let mut all = TallyDelta::default();
        for choices in stored.choices() {
            all.record(None, choices);
        }
        counted.add(&all)?;
        Ok(Some(Recount {
            kept: stored.tally.clone(),
            counted,
        }))
    }
}

#[async_trait]
impl BatchFlusher for Memory {
    async fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError> {
        self.store().flush(batch)
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        let store = self.store();
        Ok(Totals {
            counted: store
                .polls
                .iter()
                .map(|stored| stored.tally.rows())
                .sum::<u64>()
                + store.deleted.values().map(|poll| poll.voters).sum::<u64>(),
            superseded: store.superseded,
            rejected: store
                .dead_letters
                .values()
                .map(|letter| u64::from(letter.ballots))
                .sum(),
        })
    }
}

#[async_trait]
impl TallyStore for Memory {
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        Ok(self.store().poll(poll).map(|stored| stored.tally.clone()))
    }

    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
        let store = self.store();
        let poll = store.poll(&receipt.poll);
        let stored = poll
            .and_then(|stored| stored.ballots.get(&receipt.voter))
            .map(|(position, source, _)| (*position, *source));
        let source = stored.map_or(Source::Voters, |(_, source)| source);
        let whole = store.dead_letters.get(&receipt.whole_entry());
        let whole = whole.filter(|letter| RejectReason::OF_WHOLE_ENTRIES.contains(&letter.reason));
        let dead = store.dead_letters.get(&receipt.position).or(whole);
        let state = ReceiptState::judge(
            receipt.position,
            stored.map(|(position, _)| position),
            dead.map(|letter| letter.reason),
            poll.is_some_and(|stored| !stored.poll.settings().revote),
        );
        let state = match poll {
            Some(stored) => state.unless_voided(receipt, source, stored.poll.voidings()),
            None => state,
        };
        Ok(match poll {
            Some(stored) if stored.poll.voters_are_forgotten() => {
                state.or_if_pending(ReceiptState::VotersForgotten)
            }
            None if store.deleted.contains_key(&receipt.poll) => {
                state.or_if_pending(ReceiptState::PollDeleted)
            }
            _ => state,
        })
    }

    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError> {
        self.store().recount(poll)
    }

    async fn new_voters(
        &self,
        poll: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError> {
        let store = self.store();
        Ok(store.poll(poll).map(|stored| {
            let minutes = stored.new_voters.range(..NewVoters::minutes_before(before));
            let minutes = minutes.rev().take(limit);
            minutes
                .filter_map(|(minute, voters)| NewVoters::new(*minute, *voters))
                .collect()
        }))
    }

    async fn vote_history(&self, poll: &PollId) -> Result<Option<VoteHistory>, StoreError> {
        let store = self.store();
        Ok(store.poll(poll).map(|stored| {
            let changes = stored.history.iter();
            let changes = changes.map(|((until, counter), by)| HistoryChange {
                until: *until,
                counter: *counter,
                by: *by,
            });
            VoteHistory::new(stored.tally.clone(), changes)
        }))
    }

    async fn ready_to_read(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl PollDirectory for Memory {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        Ok(self.store().poll(id).map(|stored| stored.poll.clone()))
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        Ok(self
            .store()
            .polls
            .iter()
            .map(|stored| stored.poll.clone())
            .collect())
    }

    async fn is_deleted(&self, id: &PollId) -> Result<bool, StoreError> {
        Ok(self.store().deleted.contains_key(id))
    }
}

#[async_trait]
impl PollStore for Memory {
    async fn change_poll(&self, change: &PollChange, by: &str) -> Result<Option<Poll>, StoreError> {
        self.store().change_poll(change, by)
    }

    async fn deleted_polls(&self) -> Result<Vec<(PollId, Seals)>, StoreError> {
        let store = self.store();
        let deleted = store.deleted.iter();
        Ok(deleted
            .map(|(id, poll)| (id.clone(), poll.seals.clone()))
            .collect())
    }
}

#[async_trait]
impl AuditLog for Memory {
    async fn add_to_audit_log(&self, note: &AuditNote) -> Result<(), StoreError> {
        self.store().add_to_audit_log(note.clone());
        Ok(())
    }

    async fn audit_log(&self, after: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let store = self.store();
        let later = store.audit_log.iter().filter(|entry| entry.number > after);
        Ok(later.take(limit).cloned().collect())
    }

    async fn newest_of_audit_log(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let store = self.store();
        let newest = store.audit_log.iter().rev();
        let earlier = newest.filter(|entry| before.is_none_or(|before| entry.number < before));
        Ok(earlier.take(limit).cloned().collect())
    }
}

#[async_trait]
impl EventStore for Memory {
    async fn events(&self, after: u64, limit: usize) -> Result<Events, StoreError> {
        let store = self.store();
        let newest = store.newest_event;
        let oldest = store
            .events
            .front()
            .map_or(newest + 1, |event| event.number);
        let passed = after.saturating_add(1).saturating_sub(oldest);
        let passed = usize::try_from(passed).unwrap_or(usize::MAX);
        let later = store.events.iter().skip(passed);
        Ok(Events {
            list: later.take(limit).cloned().collect(),
            oldest,
            newest,
        })
    }

    async fn add_event(&self, mark: &Mark, event: &NewEvent) -> Result<bool, StoreError> {
        let mut store = self.store();
        if let Some(poll) = &event.poll
            && !events::takes_events(store.poll(poll).map(|stored| &stored.poll))
        {
            return Ok(false);
        }
        Ok(store.add_if_news(mark, event))
    }

    async fn remove_events(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        let mut store = self.store();
        let old = store.events.iter().take(limit);
        let old = old.take_while(|event| event.at < before).count();
        store.events.drain(..old);
        Ok(old)
    }
}

#[async_trait]
impl ExportStore for Memory {
    async fn counted_poll(&self, poll: &PollId) -> Result<Option<(Poll, Tally)>, StoreError> {
        let store = self.store();
        let stored = store.poll(poll);
        Ok(stored.map(|stored| (stored.poll.clone(), stored.tally.clone())))
    }

    async fn handed_in(&self, poll: &PollId) -> Result<Option<u64>, StoreError> {
        let store = self.store();
        let stored = store.poll(poll);
        let stored = stored.filter(|stored| !stored.poll.voters_are_forgotten());
        let is_counted = |(voter, (position, source, choices)): &(&VoterId, &(_, _, _))| {
            let Some(stored) = stored else { return false };
            let counted = stored.poll.counted(**voter, *position, *source, *choices);
            *source == Source::TrustedServer
                && counted != Choices::WITHDRAWN
                && counted != Choices::VOIDED
        };
        let counted = |stored: &StoredPoll| stored.ballots.iter().filter(is_counted).count();
        Ok(stored.map(|stored| counted(stored) as u64))
    }

    async fn export_ballots(&self, poll: &PollId) -> Result<BallotExport, StoreError> {
        let store = self.store();
        let stored = store.poll(poll);
        check_exportable(poll, stored.map(|stored| &stored.poll))?;
        let stored = stored.ok_or_else(|| StoreError::NoPoll(poll.clone()))?;
        let ballots = stored.choices().collect();
        Ok(BallotExport::of(stored.poll.clone(), ballots))
    }
}

#[async_trait]
impl TokenStore for Memory {
    async fn add_token(&self, token: &NamedToken, by: &str) -> Result<bool, StoreError> {
        let mut store = self.store();
        if store.tokens.contains_key(&token.name) {
            return Ok(false);
        }
        store.tokens.insert(token.name.clone(), token.clone());
        store.add_to_audit_log(token.added_note(by));
        Ok(true)
    }

    async fn tokens(&self) -> Result<Vec<NamedToken>, StoreError> {
        Ok(self.store().tokens.values().cloned().collect())
    }

    async fn revoke_token(&self, name: &TokenName, by: &str) -> Result<bool, StoreError> {
        let mut store = self.store();
        let revoked = store.tokens.remove(name);
        if let Some(token) = &revoked {
            store.add_to_audit_log(token.revoked_note(by));
        }
        Ok(revoked.is_some())
    }

    async fn add_session(&self, session: &HostSession) -> Result<bool, StoreError> {
        let mut store = self.store();
        let oldest = session.removes_before();
        store.sessions.retain(|_, kept| kept.until >= oldest);
        if store.sessions.contains_key(&session.hash) {
            return Ok(false);
        }
        store.sessions.insert(session.hash, session.clone());
        store.add_to_audit_log(session.began_note());
        Ok(true)
    }

    async fn session(&self, hash: TokenHash) -> Result<Option<HostSession>, StoreError> {
        Ok(self.store().sessions.get(&hash).cloned())
    }

    async fn use_session(&self, hash: TokenHash, at: Moment) -> Result<(), StoreError> {
        let mut store = self.store();
        if let Some(session) = store.sessions.get_mut(&hash)
            && !session.has_ended
        {
            session.used_at = session.used_at.max(at);
        }
        Ok(())
    }

    async fn end_session(&self, hash: TokenHash) -> Result<bool, StoreError> {
        let mut store = self.store();
        let Some(session) = store.sessions.get_mut(&hash) else {
            return Ok(false);
        };
        if std::mem::replace(&mut session.has_ended, true) {
            return Ok(false);
        }
        let note = session.ended_note();
        store.add_to_audit_log(note);
        Ok(true)
    }
}

#[async_trait]
impl DeadLetterStore for Memory {
    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetter>, StoreError> {
        let store = self.store();
        let letter = store.dead_letters.get(&position);
        Ok(letter.map(|letter| cut(letter, MAX_PAYLOAD)))
    }

    async fn dead_letters(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let store = self.store();
        let letters = store.dead_letters.values();
        let later =
            letters.skip_while(|letter| after.is_some_and(|after| letter.position <= after));
        let listed = later.take(limit).map(|letter| cut(letter, LISTED));
        Ok(listed.collect())
    }
}

fn cut(letter: &DeadLetter, bytes: usize) -> DeadLetter {
    let mut letter = letter.clone();
    letter.payload.truncate(and_one_more(bytes));
    letter
}

#[async_trait]
impl UnsignedStore for Memory {
    async fn unsigned_until(&self) -> Result<HashMap<ShardId, EntryId>, StoreError> {
        Ok(self.store().unsigned_until.clone())
    }

    async fn keep_unsigned_until(
        &self,
        until: &HashMap<ShardId, EntryId>,
    ) -> Result<(), StoreError> {
        let mut store = self.store();
        for (shard, id) in until {
            store.unsigned_until.entry(*shard).or_insert(*id);
        }
        Ok(())
    }
}

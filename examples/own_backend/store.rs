//! The store: polls, the newest ballot of each voter, tallies, and what could not be counted.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque, btree_map::Entry};

use async_trait::async_trait;
use voting_core::{
    BatchFlusher, Choices, DeadLetterStore, ExportStore, Poll, PollDirectory, PollId, PollStore,
    Receipt, ReceiptState, StoreError, Tally, TallyStore, VoterId,
    log::entry,
    model::{
        id::TokenName,
        moment::Moment,
        new_voters::NewVoters,
        poll::{self, PollChange},
        poll_state::Seals,
        position::{EntryId, EntryKey, Position, ShardId},
        rejection::RejectReason,
        source::Source,
        tally::{Recount, TallyDelta},
        vote_history::{HistoryChange, VOTERS, VoteHistory},
    },
    store::{
        AuditLog, EventStore, TokenStore,
        audit::{AuditEntry, AuditNote},
        batch::Batch,
        dead_letter::{DeadLetter, LISTED, MAX_PAYLOAD},
        events::{self, Event, Events, Mark, NewEvent, News},
        export::{BallotExport, check_exportable},
        older::Older,
        outcome::{FlushOutcome, Flushed, Totals},
        sessions::HostSession,
        tokens::{NamedToken, TokenHash},
    },
};

use crate::OwnBackend;

/// What a database would have as tables.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tables {
    /// In the order in which they were put.
    polls: Vec<Row>,
    dead_letters: BTreeMap<Position, DeadLetter>,
    /// The entries that were flushed, and are not below the marks.
    applied: HashSet<EntryKey>,
    /// All entries below these are flushed: of them no mark of their own is kept.
    applied_below: HashMap<ShardId, EntryId>,
    superseded: u64,
    /// Polls that were deleted: their seals, and how many voters had a ballot. Their ids are never used again.
    deleted: BTreeMap<PollId, (Seals, u64)>,
    audit_log: Vec<AuditEntry>,
    events: VecDeque<Event>,
    /// The number of the newest event, also of one that was removed.
    newest_event: u64,
    /// The value and the moment of the last event of each mark, and its poll.
    marks: HashMap<String, (String, Moment, Option<PollId>)>,
    tokens: BTreeMap<TokenName, NamedToken>,
    sessions: HashMap<TokenHash, HostSession>,
}

#[derive(Debug, Clone)]
struct Row {
    poll: Poll,
    tally: Tally,
    ballots: HashMap<VoterId, (Position, Source, Choices)>,
    /// How many ballots there are of each choice, once the voters are forgotten.
    without_voters: BTreeMap<Choices, u64>,
    /// How many voters were new in each minute, by its number.
    new_voters: BTreeMap<u64, u64>,
    /// By how much each counter changed in each span of time, by the span's last second.
    history: BTreeMap<(u64, usize), i64>,
}

impl Row {
    /// Of the ballots only the number of each choice stays.
    fn forget_voters(&mut self) {
        // When votes for an option came.
        self.history.retain(|(_, counter), _| *counter == VOTERS);
        for choices in self.counted(&self.poll) {
            *self.without_voters.entry(choices).or_default() += 1;
        }
        self.ballots.clear();
    }

    /// What the stored ballots count for by the rules of this poll. A database would do it in a statement.
    fn counted(&self, poll: &Poll) -> Vec<Choices> {
        let ballots = self.ballots.iter();
        ballots
            .map(|(voter, (position, source, choices))| {
                poll.counted(*voter, *position, *source, *choices)
            })
            .collect()
    }

    /// The tally moves, since other ballots are voided once the poll is this one.
    fn void_by(&mut self, after: &Poll) -> Result<(), StoreError> {
        let mut moved = TallyDelta::default();
        for (was, is) in self
            .counted(&self.poll)
            .into_iter()
            .zip(self.counted(after))
        {
            moved.record_all(was, is, 1);
        }
        self.tally.version += u64::from(moved.changed());
        self.keep_history(&moved.clone().happening_at(Moment::now()));
        self.tally.add(&moved)
    }

    /// Adds to the history what moves the tally.
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
    fn choices(&self) -> Vec<Choices> {
        let mut all = self.counted(&self.poll);
        for (choices, ballots) in &self.without_voters {
            all.extend((0..*ballots).map(|_| *choices));
        }
        all
    }
}

impl Tables {
    fn row(&self, id: &PollId) -> Option<&Row> {
        self.polls.iter().find(|row| row.poll.id() == id)
    }

    fn row_mut(&mut self, id: &PollId) -> Option<&mut Row> {
        self.polls.iter_mut().find(|row| row.poll.id() == id)
    }

    /// Marks the batch's entries as flushed, and returns those that were not before.
    fn mark(&mut self, batch: &Batch) -> HashSet<EntryKey> {
        let mut fresh = HashSet::new();
        for (key @ (shard, id), _) in &batch.entries {
            let below = self.applied_below.get(shard);
            if below.is_none_or(|below| id >= below) && self.applied.insert(*key) {
                fresh.insert(*key);
            }
        }
        for (shard, acknowledged) in &batch.acknowledged_below {
            let below = self.applied_below.entry(*shard).or_insert(EntryId::MIN);
            *below = (*below).max(*acknowledged);
        }
        let below = &self.applied_below;
        self.applied
            .retain(|(shard, id)| below.get(shard).is_none_or(|below| id >= below));
        fresh
    }

    fn flush(&mut self, batch: &Batch) -> Result<Flushed, StoreError> {
        // First, since a batch is written whole or not at all.
        batch.check(|id| {
            let row = self.row(id)?;
            Some((row.poll.state(), row.poll.version()))
        })?;
        // Entries that are flushed again change no counter.
        let fresh = self.mark(batch);
        // Dead letters that an operator has taken back.
        let revived = batch.revived.iter().map(|revival| revival.position);
        let removed = revived
            .filter(|position| self.dead_letters.remove(position).is_some())
            .collect();
        let mut outcome = FlushOutcome::new(batch, fresh, &removed);
        let dead = outcome
            .replays(batch)
            .map(|placed| placed.position)
            .filter(|position| self.dead_letters.contains_key(position))
            .collect();
        let mut older = Older::new(batch, dead);
        for placed in batch
            .ballots
            .iter()
            .filter_map(|placed| older.alive(placed))
        {
            let ballot = &placed.ballot;
            let Some(row) = self.row_mut(&ballot.poll) else {
                continue;
            };
            // The order guard: only a ballot that counts before the stored one takes the voter's row.
            let old = row.ballots.get(&ballot.voter);
            let counts = |(stored, ..): &(Position, Source, Choices)| {
                batch.counts_before(&ballot.poll, placed.position, *stored)
            };
            if old.is_none_or(counts) {
                let new = (
                    placed.position,
                    batch.source(placed.position),
                    ballot.choices,
                );
                let old = row.ballots.insert(ballot.voter, new);
                // A rule of the poll may void either of them.
                let counted = |(position, source, choices)| {
                    row.poll.counted(ballot.voter, position, source, choices)
                };
                outcome.written(placed, counted(new), old.map(counted));
            }
        }
        for letter in &batch.dead_letters {
            if let Entry::Vacant(free) = self.dead_letters.entry(letter.position) {
                free.insert(letter.bounded().into_owned());
                outcome.rejected(letter);
            }
        }
        // The tallies move by what was written, in the same transaction.
        let flushed = outcome.finish();
        self.superseded += flushed.report.superseded;
        for (id, delta) in &flushed.tallies {
            if let Some(row) = self.row_mut(id) {
                row.tally.version += u64::from(delta.changed());
                row.tally.add(delta)?;
                for (minute, voters) in delta.new_voters() {
                    *row.new_voters.entry(minute).or_default() += voters;
                }
                row.keep_history(delta);
            }
        }
        Ok(flushed)
    }
}

#[async_trait]
impl BatchFlusher for OwnBackend {
    async fn flush(&self, batch: &Batch) -> Result<Flushed, StoreError> {
        // A database begins a transaction here, and commits it at the end.
        self.tables().flush(batch)
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        let tables = self.tables();
        let letters = tables.dead_letters.values();
        Ok(Totals {
            counted: tables.polls.iter().map(|row| row.tally.rows()).sum::<u64>()
                + tables
                    .deleted
                    .values()
                    .map(|(_, voters)| voters)
                    .sum::<u64>(),
            superseded: tables.superseded,
            rejected: letters.map(|letter| u64::from(letter.ballots)).sum(),
        })
    }
}

#[async_trait]
impl TallyStore for OwnBackend {
    async fn tally(&self, poll: &PollId) -> Result<Option<Tally>, StoreError> {
        Ok(self.tables().row(poll).map(|row| row.tally.clone()))
    }

    async fn receipt_state(&self, receipt: &Receipt) -> Result<ReceiptState, StoreError> {
        let tables = self.tables();
        let row = tables.row(&receipt.poll);
        let stored = row.and_then(|row| row.ballots.get(&receipt.voter));
        // An entry that cannot be read is one dead letter for all its ballots.
        let whole = tables.dead_letters.get(&receipt.whole_entry());
        let whole = whole.filter(|letter| RejectReason::OF_WHOLE_ENTRIES.contains(&letter.reason));
        let dead = tables.dead_letters.get(&receipt.position).or(whole);
        let state = ReceiptState::judge(
            receipt.position,
            stored.map(|(position, ..)| *position),
            dead.map(|letter| letter.reason),
            row.is_some_and(|row| !row.poll.settings().revote),
        );
        let state = match row {
            Some(row) => {
                let source = stored.map_or(Source::Voters, |(_, source, _)| *source);
                state.unless_voided(receipt, source, row.poll.voidings())
            }
            None => state,
        };
        Ok(match row {
            Some(row) if row.poll.voters_are_forgotten() => {
                state.or_if_pending(ReceiptState::VotersForgotten)
            }
            None if tables.deleted.contains_key(&receipt.poll) => {
                state.or_if_pending(ReceiptState::PollDeleted)
            }
            _ => state,
        })
    }

    async fn recount(&self, poll: &PollId) -> Result<Option<Recount>, StoreError> {
        let tables = self.tables();
        let Some(row) = tables.row(poll) else {
            return Ok(None);
        };
        let mut counted = Tally::empty(poll.clone(), row.poll.options().len());
        counted.version = row.tally.version;
        let mut all = TallyDelta::default();
        for choices in row.choices() {
            all.record(None, choices);
        }
        counted.add(&all)?;
        Ok(Some(Recount {
            kept: row.tally.clone(),
            counted,
        }))
    }

    async fn new_voters(
        &self,
        poll: &PollId,
        before: Option<Moment>,
        limit: usize,
    ) -> Result<Option<Vec<NewVoters>>, StoreError> {
        let tables = self.tables();
        Ok(tables.row(poll).map(|row| {
            let minutes = row.new_voters.range(..NewVoters::minutes_before(before));
            let minutes = minutes.rev().take(limit);
            minutes
                .filter_map(|(minute, voters)| NewVoters::new(*minute, *voters))
                .collect()
        }))
    }

    async fn vote_history(&self, poll: &PollId) -> Result<Option<VoteHistory>, StoreError> {
        let tables = self.tables();
        Ok(tables.row(poll).map(|row| {
            let changes = row.history.iter();
            let changes = changes.map(|((until, counter), by)| HistoryChange {
                until: *until,
                counter: *counter,
                by: *by,
            });
            VoteHistory::new(row.tally.clone(), changes)
        }))
    }

    async fn ready_to_read(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl PollDirectory for OwnBackend {
    async fn poll(&self, id: &PollId) -> Result<Option<Poll>, StoreError> {
        Ok(self.tables().row(id).map(|row| row.poll.clone()))
    }

    async fn polls(&self) -> Result<Vec<Poll>, StoreError> {
        let tables = self.tables();
        Ok(tables.polls.iter().map(|row| row.poll.clone()).collect())
    }

    async fn is_deleted(&self, id: &PollId) -> Result<bool, StoreError> {
        Ok(self.tables().deleted.contains_key(id))
    }
}

impl Tables {
    fn delete(&mut self, id: &PollId) {
        let Some(index) = self.polls.iter().position(|row| row.poll.id() == id) else {
            return;
        };
        let Row { poll, tally, .. } = self.polls.remove(index);
        let kept = (poll.state().seals().clone(), tally.rows());
        self.deleted.insert(id.clone(), kept);
        self.marks.retain(|_, (_, _, of)| of.as_ref() != Some(id));
        self.empty_dead_letters(id);
    }

    /// Removes the ballots in this poll that could not be counted.
    fn empty_dead_letters(&mut self, id: &PollId) {
        let beginnings = entry::beginnings_of_one(id);
        for letter in self.dead_letters.values_mut() {
            let payload = &letter.payload;
            if beginnings.iter().any(|begins| payload.starts_with(begins)) {
                letter.payload.clear();
                letter.detail.clear();
            }
        }
    }

    fn note(&mut self, note: AuditNote) {
        let number = self.audit_log.last().map_or(0, |entry| entry.number) + 1;
        let at = Moment::now();
        self.audit_log.push(AuditEntry { number, at, note });
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
        self.events.push_back(Event::new(self.newest_event, what));
    }
}

#[async_trait]
impl PollStore for OwnBackend {
    async fn change_poll(&self, change: &PollChange, by: &str) -> Result<Option<Poll>, StoreError> {
        let id = &change.poll;
        let mut tables = self.tables();
        if tables.deleted.contains_key(id) {
            return Err(StoreError::PollDeleted(id.clone()));
        }
        let stored = tables.row(id).map(|row| row.poll.clone());
        // Says which changes are allowed, and what becomes of the poll. A database calls it in the transaction that
        // has locked the row.
        let now = Moment::now();
        let changed = poll::change(stored.as_ref(), change, now)?;
        let events = events::of_change(stored.as_ref(), &changed, now);
        // Nobody may have told yet that the poll has opened at its time.
        let opening = stored
            .as_ref()
            .filter(|_| changed.is_changed)
            .and_then(|poll| events::opening(poll, now));
        let forgets_voters = changed.forgets_voters(stored.as_ref());
        let voids_other_ballots = changed.voids_other_ballots(stored.as_ref());
        match &changed.poll {
            Some(poll) => match tables.row_mut(id) {
                Some(row) => {
                    if voids_other_ballots {
                        row.void_by(poll)?;
                    }
                    row.poll = poll.clone();
                    if forgets_voters {
                        row.forget_voters();
                        tables.empty_dead_letters(id);
                    }
                }
                None => {
                    let tally = Tally::empty(id.clone(), poll.options().len());
                    tables.polls.push(Row {
                        poll: poll.clone(),
                        tally,
                        ballots: HashMap::new(),
                        without_voters: BTreeMap::new(),
                        new_voters: BTreeMap::new(),
                        history: BTreeMap::new(),
                    });
                }
            },
            None => {
                tables.delete(id);
            }
        }
        if let Some((mark, event)) = opening {
            tables.add_if_news(&mark, &event);
        }
        for event in events {
            tables.add_event(event);
        }
        if let Some(note) = changed.note {
            tables.note(AuditNote::of_change(id, note, by));
        }
        Ok(changed.poll)
    }

    async fn deleted_polls(&self) -> Result<Vec<(PollId, Seals)>, StoreError> {
        let tables = self.tables();
        let deleted = tables.deleted.iter();
        let seals = deleted.map(|(id, (seals, _))| (id.clone(), seals.clone()));
        Ok(seals.collect())
    }
}

#[async_trait]
impl AuditLog for OwnBackend {
    async fn add_to_audit_log(&self, note: &AuditNote) -> Result<(), StoreError> {
        self.tables().note(note.clone());
        Ok(())
    }

    async fn audit_log(&self, after: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let tables = self.tables();
        let later = tables.audit_log.iter().filter(|entry| entry.number > after);
        Ok(later.take(limit).cloned().collect())
    }

    async fn newest_of_audit_log(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let tables = self.tables();
        let newest = tables.audit_log.iter().rev();
        let earlier = newest.filter(|entry| before.is_none_or(|before| entry.number < before));
        Ok(earlier.take(limit).cloned().collect())
    }
}

#[async_trait]
impl EventStore for OwnBackend {
    async fn events(&self, after: u64, limit: usize) -> Result<Events, StoreError> {
        let tables = self.tables();
        let newest = tables.newest_event;
        let first = tables.events.front();
        let later = tables.events.iter().filter(|event| event.number > after);
        Ok(Events {
            list: later.take(limit).cloned().collect(),
            oldest: first.map_or(newest + 1, |event| event.number),
            newest,
        })
    }

    async fn add_event(&self, mark: &Mark, event: &NewEvent) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        if let Some(poll) = &event.poll
            && !events::takes_events(tables.row(poll).map(|row| &row.poll))
        {
            return Ok(false);
        }
        Ok(tables.add_if_news(mark, event))
    }

    async fn remove_events(&self, before: Moment, limit: usize) -> Result<usize, StoreError> {
        let mut tables = self.tables();
        let old = tables.events.iter().take(limit);
        let old = old.take_while(|event| event.at < before).count();
        tables.events.drain(..old);
        Ok(old)
    }
}

#[async_trait]
impl ExportStore for OwnBackend {
    async fn counted_poll(&self, poll: &PollId) -> Result<Option<(Poll, Tally)>, StoreError> {
        let tables = self.tables();
        let row = tables.row(poll);
        Ok(row.map(|row| (row.poll.clone(), row.tally.clone())))
    }

    async fn handed_in(&self, poll: &PollId) -> Result<Option<u64>, StoreError> {
        let tables = self.tables();
        let row = tables.row(poll);
        let row = row.filter(|row| !row.poll.voters_are_forgotten());
        Ok(row.map(|row| {
            let ballots = row.ballots.iter();
            let handed_in = ballots.filter(|(voter, (position, source, choices))| {
                let counted = row.poll.counted(**voter, *position, *source, *choices);
                *source == Source::TrustedServer
                    && ![Choices::WITHDRAWN, Choices::VOIDED].contains(&counted)
            });
            handed_in.count() as u64
        }))
    }

    async fn export_ballots(&self, poll: &PollId) -> Result<BallotExport, StoreError> {
        let tables = self.tables();
        let row = tables.row(poll);
        check_exportable(poll, row.map(|row| &row.poll))?;
        let row = row.ok_or_else(|| StoreError::NoPoll(poll.clone()))?;
        // A database sorts at random itself, and sends the ballots piece by piece: see `BallotExport::new`.
        Ok(BallotExport::of(row.poll.clone(), row.choices()))
    }
}

#[async_trait]
impl TokenStore for OwnBackend {
    async fn add_token(&self, token: &NamedToken, by: &str) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        if tables.tokens.contains_key(&token.name) {
            return Ok(false);
        }
        tables.tokens.insert(token.name.clone(), token.clone());
        tables.note(token.added_note(by));
        Ok(true)
    }

    async fn tokens(&self) -> Result<Vec<NamedToken>, StoreError> {
        Ok(self.tables().tokens.values().cloned().collect())
    }

    async fn revoke_token(&self, name: &TokenName, by: &str) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let revoked = tables.tokens.remove(name);
        if let Some(token) = &revoked {
            tables.note(token.revoked_note(by));
        }
        Ok(revoked.is_some())
    }

    async fn add_session(&self, session: &HostSession) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let oldest = session.removes_before();
        tables.sessions.retain(|_, kept| kept.until >= oldest);
        if tables.sessions.contains_key(&session.hash) {
            return Ok(false);
        }
        tables.sessions.insert(session.hash, session.clone());
        tables.note(session.began_note());
        Ok(true)
    }

    async fn session(&self, hash: TokenHash) -> Result<Option<HostSession>, StoreError> {
        Ok(self.tables().sessions.get(&hash).cloned())
    }

    async fn use_session(&self, hash: TokenHash, at: Moment) -> Result<(), StoreError> {
        let mut tables = self.tables();
        if let Some(session) = tables.sessions.get_mut(&hash)
            && !session.has_ended
        {
            session.used_at = session.used_at.max(at);
        }
        Ok(())
    }

    async fn end_session(&self, hash: TokenHash) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let Some(session) = tables.sessions.get_mut(&hash) else {
            return Ok(false);
        };
        if std::mem::replace(&mut session.has_ended, true) {
            return Ok(false);
        }
        let note = session.ended_note();
        tables.note(note);
        Ok(true)
    }
}

#[async_trait]
impl DeadLetterStore for OwnBackend {
    async fn dead_letter(&self, position: Position) -> Result<Option<DeadLetter>, StoreError> {
        let tables = self.tables();
        let letter = tables.dead_letters.get(&position);
        Ok(letter.map(|letter| cut(letter, MAX_PAYLOAD)))
    }

    async fn dead_letters(
        &self,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let tables = self.tables();
        let letters = tables.dead_letters.values();
        let later =
            letters.skip_while(|letter| after.is_some_and(|after| letter.position <= after));
        let listed = later.take(limit).map(|letter| cut(letter, LISTED));
        Ok(listed.collect())
    }
}

/// So many bytes of the payload, and one more, which says that there are more.
fn cut(letter: &DeadLetter, bytes: usize) -> DeadLetter {
    let mut letter = letter.clone();
    letter.payload.truncate(bytes + 1);
    letter
}

//! Between which moments each shard takes ballots in a poll.

use tokio::time::Instant;

use crate::backends::redis::{Redis, durability::watch};
use crate::{
    error::StoreError,
    log::ShardWindows,
    model::{
        id::PollId,
        moment::Moment,
        poll::{CHANGE_MARGIN, PollWindow},
        position::ShardId,
    },
};

impl Redis {
    pub(super) async fn windows_of(
        &self,
        shard: ShardId,
        windows: &[PollWindow],
    ) -> Result<ShardWindows, StoreError> {
        self.prepare().await?;
        let mut set = self.0.scripts.set_windows.key(self.log_key(shard));
        set.key(self.windows_key(shard))
            .arg(u64::try_from(CHANGE_MARGIN.as_millis()).unwrap_or(u64::MAX));
        for window in windows {
            set.arg(window.poll.as_str())
                .arg(window.rules)
                .arg(window.times)
                .arg(written(window.opens_at))
                .arg(written(window.closes_at));
        }
        // A window that is forgotten would let ballots in before or after it.
        watch::before(self, shard).await?;
        let sent = Instant::now();
        let ran = self.lane(shard).run_on::<(u64, Vec<String>)>(&set).await?;
        self.kept_also_before(&ran, shard).await?;
        watch::after(self, &ran.server, sent).await?;
        let (clock_ms, held) = ran.answer;
        if held.len() != windows.len() {
            return Err(StoreError::Corrupt(format!("{} windows", held.len())));
        }
        let held = windows.iter().zip(&held);
        let held = held.map(|(asked, text)| read(&asked.poll, text));
        Ok(ShardWindows {
            clock_ms,
            held: held.collect::<Result<_, _>>()?,
        })
    }
}

/// A limit of a window as the scripts read it.
fn written(moment: Option<Moment>) -> String {
    moment.map_or_else(|| "-".to_owned(), |moment| moment.unix_ms().to_string())
}

/// A window as the scripts write it: the rules, the times, and the milliseconds of the opening and the closing.
fn read(poll: &PollId, text: &str) -> Result<PollWindow, StoreError> {
    let limit = |text: &str| match text {
        "-" => Some(None),
        ms => Moment::from_unix_ms(ms.parse().ok()?).map(Some),
    };
    let parse = || {
        let words: Vec<_> = text.split(' ').collect();
        let [rules, times, opens_at, closes_at] = words[..] else {
            return None;
        };
        Some(PollWindow {
            poll: poll.clone(),
            rules: rules.parse().ok()?,
            times: times.parse().ok()?,
            opens_at: limit(opens_at)?,
            closes_at: limit(closes_at)?,
        })
    };
    parse().ok_or_else(|| StoreError::Corrupt(format!("window {text:?} of poll {poll}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_read_as_it_was_written_and_anything_else_is_an_error() {
        let poll: PollId = "p".parse().unwrap();
        let opens_at = Moment::from_unix_ms(1_700_000_000_000);
        let text = format!("3 7 {} {}", written(opens_at), written(None));
        let window = read(&poll, &text).unwrap();
        assert_eq!((window.rules, window.times), (3, 7));
        assert_eq!((window.opens_at, window.closes_at), (opens_at, None));
        for text in ["", "3 7 -", "3 7 - - -", "- 7 - -", "3 7 x -", "3 7  -"] {
            let answer = read(&poll, text);
            assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{text:?}");
        }
    }
}

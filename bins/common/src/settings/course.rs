//! The poll of the Docker course, which is made if no other poll is configured.

use voting_core::{
    Poll, PollOption, PollStore, StoreError,
    model::poll::{BadText, InvalidPoll, check_text},
};

use crate::settings::{config::Config, configured::put_configured};

/// Checks whether an option can have this label.
pub(crate) fn check_label(label: &str) -> Result<(), BadText> {
    check_text(label).map(drop)
}

/// The poll of the Docker course.
pub fn cats_vs_dogs() -> Poll {
    poll(&title("Cats", "Dogs"), "Cats", "Dogs").expect("a poll")
}

fn title(a: &str, b: &str) -> String {
    format!("{a} vs {b}!")
}

fn poll(title: &str, a: &str, b: &str) -> Result<Poll, InvalidPoll> {
    let option = |id: &str, label: &str| PollOption {
        id: id.parse().expect("an id"),
        label: label.to_owned(),
    };
    let options = vec![option("a", a), option("b", b)];
    Poll::new("cats-vs-dogs".parse().expect("an id"), title, options, 1)
}

impl Config {
    /// Stores the configured polls, or otherwise the course's poll.
    ///
    /// # Errors
    /// The store fails, or has a poll with other options.
    pub async fn put_polls(&self, store: &impl PollStore) -> Result<(), StoreError> {
        if let Some(polls) = &self.polls {
            for poll in polls {
                put_configured(store, poll).await?;
            }
            return Ok(());
        }
        let stored = store.poll(cats_vs_dogs().id()).await?;
        match self.course_poll(stored.as_ref()) {
            Ok(Some(poll)) => put_configured(store, &poll).await,
            Ok(None) => Ok(()),
            // An operator may have given the other option a label that does not fit.
            Err(error) => {
                tracing::warn!(%error, "OPTION_A and OPTION_B are not used");
                Ok(())
            }
        }
    }

    /// Whether this poll is the course's unchanged poll, although other polls are configured now.
    pub fn is_left_over(&self, poll: &Poll) -> bool {
        let is_configured = |polls: &Vec<Poll>| polls.iter().any(|other| other.id() == poll.id());
        let [a, b] = poll.options() else {
            return false;
        };
        self.polls
            .as_ref()
            .is_some_and(|polls| !is_configured(polls))
            && self.default_poll.as_ref() != Some(poll.id())
            && poll.counts_like(&cats_vs_dogs())
            && poll.title() == title(&a.label, &b.label)
    }

    /// The course's poll that is to be stored. `None` if the stored poll stays as it is. Without settings it stays,
    /// since an operator may have given it other labels.
    ///
    /// # Errors
    /// The two labels do not fit together.
    pub(crate) fn course_poll(&self, stored: Option<&Poll>) -> Result<Option<Poll>, InvalidPoll> {
        let made = cats_vs_dogs();
        let before = stored.unwrap_or(&made);
        let labels: Vec<&str> = before
            .options()
            .iter()
            .map(|option| option.label.as_str())
            .collect();
        // A poll that does not have the course's options is somebody's own poll.
        let [old_a, old_b] = labels[..] else {
            return Ok(None);
        };
        let a = self.option_a.as_deref().unwrap_or(old_a);
        let b = self.option_b.as_deref().unwrap_or(old_b);
        let new_title = match before.title() == title(old_a, old_b) {
            true => title(a, b),
            false => before.title().to_owned(),
        };
        // Two long labels are too long for a title.
        let wanted = poll(&new_title, a, b).or_else(|_| poll("Which one?", a, b))?;
        let is_there = stored.is_some_and(|stored| {
            !stored.state().is_open()
                || !stored.counts_like(&wanted)
                || (stored.title() == wanted.title() && stored.options() == wanted.options())
        });
        Ok((!is_there).then_some(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(a: Option<&str>, b: Option<&str>) -> Config {
        Config {
            option_a: a.map(str::to_owned),
            option_b: b.map(str::to_owned),
            ..Config::default()
        }
    }

    #[test]
    fn it_is_made_with_the_labels_that_are_set() {
        let made = with(None, None).course_poll(None).unwrap().unwrap();
        assert_eq!(made, cats_vs_dogs());
        let made = with(Some("Tea"), Some("Coffee")).course_poll(None);
        let made = made.unwrap().unwrap();
        assert_eq!(made.title(), "Tea vs Coffee!");
        assert_eq!(made.options()[1].label, "Coffee");
        assert!(made.counts_like(&cats_vs_dogs()));
    }

    #[test]
    fn it_is_left_over_once_others_are_configured_unless_somebody_has_made_it_theirs() {
        let course = cats_vs_dogs();
        let lunch = Poll::new(
            "lunch".parse().unwrap(),
            "Lunch?",
            course.options().to_vec(),
            1,
        );
        let with_polls = |polls: Vec<Poll>| Config {
            polls: Some(polls),
            ..Config::default()
        };
        let others = with_polls(vec![lunch.clone().unwrap()]);
        assert!(others.is_left_over(&course));
        assert!(!Config::default().is_left_over(&course));
        assert!(!with_polls(vec![lunch.unwrap(), course.clone()]).is_left_over(&course));
        assert!(!others.is_left_over(&poll("Which?", "Cats", "Dogs").unwrap()));
        let wanted = Config {
            default_poll: Some(course.id().clone()),
            ..others
        };
        assert!(!wanted.is_left_over(&course));
    }

    #[test]
    fn a_stored_one_gets_the_labels_that_are_set_and_keeps_the_others() {
        let stored = cats_vs_dogs();
        assert_eq!(with(None, None).course_poll(Some(&stored)), Ok(None));
        let changed = with(Some("Owls"), None).course_poll(Some(&stored));
        let changed = changed.unwrap().unwrap();
        assert_eq!(changed.title(), "Owls vs Dogs!");
        assert_eq!(
            with(Some("Owls"), None).course_poll(Some(&changed)),
            Ok(None)
        );
        // A title that an operator has set is kept.
        let own = poll("Which?", "Cats", "Dogs").unwrap();
        let changed = with(Some("Owls"), None).course_poll(Some(&own));
        assert_eq!(changed.unwrap().unwrap().title(), "Which?");
        assert_eq!(with(None, None).course_poll(Some(&own)), Ok(None));
    }
}

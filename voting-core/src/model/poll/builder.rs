//! Makes a poll step by step.

use super::{InvalidPoll, Poll, PollOption, PollSettings};

/// Makes a [`Poll`]; see [`Poll::builder`]. All checks are made by [`build`](Self::build).
#[derive(Debug, Clone)]
#[must_use = "a builder makes nothing before `build`"]
pub struct PollBuilder {
    id: String,
    title: String,
    options: Vec<(String, String)>,
    max_choices: usize,
    settings: PollSettings,
}

impl Poll {
    /// Begins a poll with this id and question. An id has 1 to 63 characters of `a-z`, `0-9`, `-` and `_`, and begins
    /// and ends with a letter or a digit.
    ///
    /// ```
    /// use voting_core::Poll;
    ///
    /// let poll = Poll::builder("drinks", "Tea or coffee?")
    ///     .option("tea", "Tea")
    ///     .option("coffee", "Coffee")
    ///     .build()?;
    /// assert_eq!(poll.max_choices(), 1);
    /// # Ok::<(), voting_core::model::poll::InvalidPoll>(())
    /// ```
    pub fn builder(id: impl Into<String>, title: impl Into<String>) -> PollBuilder {
        PollBuilder {
            id: id.into(),
            title: title.into(),
            options: Vec::new(),
            max_choices: 1,
            settings: PollSettings::default(),
        }
    }
}

impl PollBuilder {
    /// Adds an option: its stable id, and its label for people. Options are shown in the order in which they are
    /// added.
    pub fn option(mut self, id: impl Into<String>, label: impl Into<String>) -> Self {
        self.options.push((id.into(), label.into()));
        self
    }

    /// How many options one ballot may choose; 1 unless it is set.
    pub fn max_choices(mut self, max_choices: usize) -> Self {
        self.max_choices = max_choices;
        self
    }

    /// What is set beside the question and the options, such as when the poll opens and closes.
    pub fn settings(mut self, settings: PollSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Checks all parts, as [`Poll::new`] does, and returns the poll.
    ///
    /// # Errors
    /// [`InvalidPoll::Id`] for an id of the poll or of an option that is not valid; else as [`Poll::new`].
    pub fn build(self) -> Result<Poll, InvalidPoll> {
        let id = self.id.parse()?;
        let options = self.options.into_iter().map(|(id, label)| {
            let id = id.parse()?;
            Ok(PollOption { id, label })
        });
        let options = options.collect::<Result<_, InvalidPoll>>()?;
        Poll::new(id, self.title, options, self.max_choices)?.with_settings(self.settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_not_valid_is_named() {
        let built = Poll::builder("Drinks!", "?").build();
        let reported = built.expect_err("it is not valid").to_string();
        let begins = "\"drinks!\" is not an identifier";
        assert!(reported.to_lowercase().starts_with(begins), "{reported}");
        let built = Poll::builder("d", "?").option("", "Tea").build();
        assert!(matches!(built, Err(InvalidPoll::Id(_))), "{built:?}");
    }

    #[test]
    fn a_builder_checks_what_new_checks() {
        let built = Poll::builder("d", "Which?").option("a", "A").build();
        assert_eq!(built, Err(InvalidPoll::OptionCount(1)));
        let built = Poll::builder("d", "Which?")
            .option("a", "A")
            .option("b", "B")
            .max_choices(2)
            .build();
        assert_eq!(built.unwrap().max_choices(), 2);
    }
}

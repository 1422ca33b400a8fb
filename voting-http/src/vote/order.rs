//! The order in which a voter sees the options of a poll.

use voting_core::{
    Poll, SecretKey, VoterId,
    model::{poll::OptionOrder, secret::MacKey},
};

/// Puts the options of a poll in an order for each voter.
pub(super) struct Orders(MacKey);

impl Orders {
    pub(super) fn new(secret: &SecretKey) -> Self {
        Self(secret.derive("option order 1"))
    }

    /// The indices of the poll's options in the order for this voter. A voter always gets the same order in a poll, and
    /// other orders in other polls.
    pub(super) fn of(&self, poll: &Poll, voter: VoterId) -> Vec<usize> {
        let mut order: Vec<usize> = (0..poll.options().len()).collect();
        if poll.settings().order == OptionOrder::Shuffled {
            let place = |index: &usize| {
                let option = poll.options()[*index].id.as_str();
                // Ids have no zero bytes, so no two messages are equal.
                let mut message = voter.to_bytes().to_vec();
                message.extend(poll.id().as_str().as_bytes());
                message.push(0);
                message.extend(option.as_bytes());
                self.0.tag(&message)
            };
            order.sort_by_cached_key(place);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use voting_core::model::poll::PollSettings;

    use super::*;

    fn poll(id: &str, order: OptionOrder) -> Poll {
        let mut poll = Poll::builder(id, "Which?");
        for option in ["a", "b", "c", "d", "e", "f"] {
            poll = poll.option(option, option.to_uppercase());
        }
        let mut settings = PollSettings::default();
        settings.order = order;
        poll.build().unwrap().with_settings(settings).unwrap()
    }

    #[test]
    fn an_order_is_a_voters_own_in_each_poll_and_stays() {
        let orders = Orders::new(&SecretKey::new([1; 32]).unwrap());
        let (one, other) = (
            poll("one", OptionOrder::Shuffled),
            poll("other", OptionOrder::Shuffled),
        );
        let voters: Vec<_> = (0..50).map(|_| VoterId::issue()).collect();
        let mut seen = std::collections::HashSet::new();
        for voter in &voters {
            let order = orders.of(&one, *voter);
            assert_eq!(order, orders.of(&one, *voter));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
            seen.insert(order);
        }
        assert!(seen.len() > 10, "{seen:?}");
        let differs = |voter: &VoterId| orders.of(&one, *voter) != orders.of(&other, *voter);
        assert!(voters.iter().any(differs));
        let fixed = poll("one", OptionOrder::Fixed);
        assert_eq!(orders.of(&fixed, voters[0]), [0, 1, 2, 3, 4, 5]);
    }
}

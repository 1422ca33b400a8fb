//! A person who has signed in, and whether the person may vote.

use voting_core::{
    VoterId,
    model::{poll::PollSettings, poll_key::PollKey},
};

/// A person who has signed in.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::vote) struct Person {
    pub(super) issuer: String,
    /// Names the person at the issuer.
    pub(super) subject: String,
    pub(super) groups: Vec<String>,
    /// Only an address that is verified.
    pub(super) email: Option<String>,
}

impl Person {
    /// The id under which the person votes in the poll with this key.
    pub(in crate::vote) fn voter(&self, key: &PollKey) -> VoterId {
        key.login(&self.issuer, &self.subject)
    }

    /// Whether the person has the groups and the e-mail domain that a poll asks for: one of each list that is not empty.
    pub(in crate::vote) fn may_vote(&self, settings: &PollSettings) -> bool {
        let groups = &settings.groups;
        let domains = &settings.email_domains;
        let in_group = || self.groups.iter().any(|group| groups.contains(group));
        let domain = self
            .email
            .as_deref()
            .and_then(|email| email.rsplit_once('@'));
        let domain = domain.map(|(_, domain)| domain.to_ascii_lowercase());
        (groups.is_empty() || in_group())
            && (domains.is_empty() || domain.is_some_and(|domain| domains.contains(&domain)))
    }
}

#[cfg(test)]
mod tests {
    use voting_core::model::poll::Voters;

    use super::*;

    #[test]
    fn one_group_and_one_domain_are_needed_where_they_are_asked_for() {
        let person = |groups: &[&str], email: Option<&str>| Person {
            issuer: "i".to_owned(),
            subject: "s".to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            email: email.map(str::to_owned),
        };
        let settings = |groups: &[&str], domains: &[&str]| {
            let mut settings = PollSettings::default();
            settings.voters = Voters::Identity;
            settings.groups = groups.iter().map(|&group| group.to_owned()).collect();
            settings.email_domains = domains.iter().map(|&domain| domain.to_owned()).collect();
            settings
        };
        let anna = person(&["a", "b"], Some("Anna@Example.ORG"));
        assert!(anna.may_vote(&settings(&[], &[])));
        assert!(anna.may_vote(&settings(&["b", "c"], &["example.org"])));
        assert!(!anna.may_vote(&settings(&["c"], &["example.org"])));
        assert!(!anna.may_vote(&settings(&["A"], &[])));
        assert!(!anna.may_vote(&settings(&["b"], &["ample.org"])));
        assert!(!person(&["a"], None).may_vote(&settings(&["a"], &["example.org"])));
        let tricky = person(&[], Some("\"x@example.org\"@evil.org"));
        assert!(!tricky.may_vote(&settings(&[], &["example.org"])));
        assert!(
            !person(&[], Some("anna@sub.example.org")).may_vote(&settings(&[], &["example.org"]))
        );
    }
}

//! Which role a claim gives.

use serde_json::{Map, Value};
use voting_core::store::tokens::Role;

use crate::vote::jwt::texts;

/// The claim that gives roles, and which value gives which role. Nothing else gives one.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) claim: String,
    pub(super) values: Vec<(String, Role)>,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            claim: "groups".to_owned(),
            values: Vec::new(),
        }
    }
}

impl Rule {
    /// The role of whoever has these claims.
    pub(super) fn role(&self, claims: &Map<String, Value>) -> Option<Role> {
        let has = texts(claims, &self.claim);
        let roles = self.values.iter();
        let roles = roles.filter(|(value, _)| has.contains(&value.as_str()));
        let roles: Vec<_> = roles.map(|(_, role)| *role).collect();
        let order = [Role::Operator, Role::Host, Role::Auditor];
        order.into_iter().find(|role| roles.contains(role))
    }

    /// All that the rule consists of.
    pub(super) fn parts(&self) -> Vec<String> {
        let values = self.values.iter();
        let values = values.flat_map(|(value, role)| [value.clone(), role.to_string()]);
        std::iter::once(self.claim.clone()).chain(values).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_gives_a_role_only_by_a_whole_value() {
        let rule = |claim: &str| Rule {
            claim: claim.to_owned(),
            values: [
                ("auditors", Role::Auditor),
                ("hosts", Role::Host),
                ("ops", Role::Operator),
            ]
            .map(|(value, role)| (value.to_owned(), role))
            .into(),
        };
        let role = |claim: &str, claims: Value| rule(claim).role(claims.as_object().unwrap());
        let groups = |groups: Value| role("groups", json!({"groups": groups}));
        assert_eq!(groups(json!(["hosts"])), Some(Role::Host));
        assert_eq!(groups(json!("hosts")), Some(Role::Host));
        assert_eq!(groups(json!(["auditors", "hosts"])), Some(Role::Host));
        assert_eq!(
            groups(json!(["hosts", "ops", "auditors"])),
            Some(Role::Operator)
        );
        for none in [
            json!([]),
            json!(["Hosts"]),
            json!(["hosts "]),
            json!("hosts,ops"),
            json!("host"),
            json!(null),
            json!(1),
            json!({"hosts": true}),
            json!([["hosts"]]),
        ] {
            assert_eq!(groups(none.clone()), None, "{none}");
        }
        assert_eq!(role("groups", json!({"roles": ["hosts"]})), None);
        let nested = json!({"realm": {"roles": ["ops"]}});
        assert_eq!(role("realm.roles", nested), Some(Role::Operator));
        assert_eq!(
            Rule::default().role(json!({"groups": [""]}).as_object().unwrap()),
            None
        );
    }
}

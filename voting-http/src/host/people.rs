//! The people who may use these pages and the API: their tokens are made and revoked here.

use askama::Template;
use poem::Response;
use voting_core::store::tokens::Role;

use super::{Frame, Visit, see, times};
use crate::{pages::templates::render, problem::Problem};

/// The roles that a host can choose from, with what they may do.
const ROLES: [(Role, &str, &str); 4] = [
    (
        Role::Host,
        "Host",
        "Makes and runs polls, and takes their results out.",
    ),
    (
        Role::Auditor,
        "Auditor",
        "Reads polls and the audit log, counts ballots again, and takes results out. Changes nothing.",
    ),
    (
        Role::Caster,
        "Caster",
        "For a program, not for people: hands in the votes of a kiosk, a telephone service or on paper. Sees nothing.",
    ),
    (
        Role::Operator,
        "Operator",
        "Everything, also dead letters and the tokens on this page.",
    ),
];

/// Somebody with a token.
struct Person {
    name: String,
    role: &'static str,
    since: String,
    /// Whether this is who looks at the page.
    is_self: bool,
}

/// A token that was just made.
struct Made {
    name: String,
    token: String,
}

#[derive(Template)]
#[template(path = "host/people.html")]
struct PeoplePage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    people: Vec<Person>,
    made: Option<Made>,
    /// Why no token was made.
    error: Option<String>,
    /// What was typed.
    name: String,
    role: Role,
}

impl PeoplePage {
    fn roles(&self) -> [(Role, &'static str, &'static str); 4] {
        ROLES
    }

    fn is_chosen(&self, role: &Role) -> bool {
        self.role == *role
    }
}

fn word(role: Role) -> &'static str {
    let found = ROLES.iter().find(|(known, _, _)| *known == role);
    found.map_or("", |(_, word, _)| word)
}

async fn page(visit: &Visit) -> Result<PeoplePage, Problem> {
    let tokens = visit.parts().service.named_tokens().await?;
    let people = tokens.into_iter().map(|token| Person {
        is_self: token.name.as_str() == visit.by(),
        name: token.name.to_string(),
        role: word(token.role),
        since: times::for_people(token.created_at, None),
    });
    let frame = visit.frame();
    Ok(PeoplePage {
        base: frame.base.clone(),
        assets_version: frame.assets_version,
        frame,
        people: people.collect(),
        made: None,
        error: None,
        name: String::new(),
        role: Role::Host,
    })
}

/// `GET /people`.
pub(super) async fn show(visit: Visit) -> Result<Response, Problem> {
    Ok(render(&page(&visit).await?))
}

/// `POST /people`: makes a token. Only this answer has it, so there is no redirect.
pub(super) async fn make(visit: Visit) -> Result<Response, Problem> {
    let name = visit.form.text("name").trim().to_lowercase();
    let role = visit.form.text("role").parse();
    let role = role.map_err(|_| Problem::invalid("Choose a role."));
    let service = &visit.parts().service;
    let made = match &role {
        Ok(role) => service.add_token(&name, *role, visit.by()).await,
        Err(problem) => Err(problem.clone()),
    };
    let mut page = page(&visit).await?;
    match made {
        Ok((named, token)) => {
            page.made = Some(Made {
                name: named.name.to_string(),
                token,
            });
            Ok(render(&page))
        }
        Err(problem) => {
            page.error = Some(problem.detail().to_owned());
            page.name = name;
            page.role = role.unwrap_or(Role::Host);
            Ok(problem.finish(render(&page)))
        }
    }
}

/// `POST /people/:name/revoke`.
pub(super) async fn revoke(visit: Visit) -> Result<Response, Problem> {
    let name = visit.request.raw_path_param("name").unwrap_or_default();
    let service = &visit.parts().service;
    service.revoke_token(name, visit.by()).await?;
    Ok(see(&visit.prefix, "/people?done=revoked"))
}

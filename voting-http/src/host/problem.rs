//! Pages that say what failed.

use askama::Template;
use poem::{Request, Response, http::Method};

use super::Frame;
use crate::{
    pages::{
        site::{self, Prefix},
        templates::{self, Next},
    },
    problem::Problem,
    texts::Texts,
};

/// What the page about a failure needs of its request.
pub(super) struct Asked {
    prefix: Prefix,
    address: Option<String>,
    is_form: bool,
}

impl Asked {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            prefix: Prefix::of(request),
            address: site::address_of(request).filter(|at| !at.starts_with("//")),
            is_form: request.method() == Method::POST,
        }
    }

    /// The address, if it may help to ask it once more.
    fn again(&self, problem: &Problem) -> Option<&str> {
        let address = self.address.as_deref()?;
        (problem.status().is_server_error() && !self.is_form).then_some(address)
    }

    /// The page for somebody of whom it is not known whether they are signed in.
    pub(super) fn told(&self, problem: &Problem) -> Response {
        let next = self.again(problem).map_or(Next::AllPolls, Next::Again);
        let t = Texts::english();
        let detail = problem.page_detail(t);
        let page = templates::message(&self.prefix, problem, detail, next, None, t);
        problem.finish(page)
    }
}

/// The page for who is signed in.
#[derive(Template)]
#[template(path = "host/problem.html")]
pub(super) struct ProblemPage {
    base: String,
    assets_version: &'static str,
    frame: Frame,
    status: u16,
    title: &'static str,
    detail: String,
    /// The address, if it may help to ask it once more.
    again: Option<String>,
    /// Whether another token may help.
    is_forbidden: bool,
}

impl ProblemPage {
    pub(super) fn new(frame: Frame, asked: &Asked, problem: &Problem) -> Self {
        Self {
            base: frame.base.clone(),
            assets_version: frame.assets_version,
            frame: Frame {
                done: None,
                ..frame
            },
            status: problem.status().as_u16(),
            title: problem.title(),
            detail: problem.detail().to_owned(),
            again: asked.again(problem).map(str::to_owned),
            is_forbidden: problem.status() == poem::http::StatusCode::FORBIDDEN,
        }
    }
}

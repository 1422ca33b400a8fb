//! Logs what was refused to somebody whose token is valid: who tried what, and from where.

use poem::{Request, http::Method};

use super::callers::Caller;
use crate::server::gate::{Gate, client_address::Client};

/// A path is logged up to this length. Longer ones name nothing that exists.
const MAX_PATH: usize = 200;

/// What a caller of the operator's API, or somebody at the host's pages, asks for.
pub(crate) struct Attempt {
    caller: Caller,
    method: Method,
    path: String,
    from: Client,
}

impl Attempt {
    /// `None` for a request of somebody who is not known by a token.
    pub(crate) fn of(request: &Request, gate: &Gate) -> Option<Self> {
        Some(Self::by(request.data::<Caller>()?, request, gate))
    }

    /// What this caller asks for.
    pub(crate) fn by(caller: &Caller, request: &Request, gate: &Gate) -> Self {
        Self {
            caller: caller.clone(),
            method: request.method().clone(),
            path: request.uri().path().chars().take(MAX_PATH).collect(),
            from: gate.client(request),
        }
    }

    /// Each refusal is logged: only holders of tokens can cause such lines. The query is left out.
    pub(crate) fn log(&self) {
        let Caller { name, role } = &self.caller;
        let (name, method, path) = (&**name, self.method.as_str(), self.path.as_str());
        tracing::warn!(
            name,
            %role,
            method,
            path,
            address = %self.from,
            "refused: the token's role may not do this"
        );
    }
}

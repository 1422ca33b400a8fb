//! Secrets: where each comes from, who may read its file, and whether it could be guessed.

mod hidden;
mod permissions;
mod resolve;
mod strength;

pub use self::{
    hidden::Hidden,
    permissions::anybody_may_read,
    resolve::{Kept, ResolvedSecret, SecretError, resolve_secret},
};
pub(crate) use self::{resolve::given, strength::is_weak};

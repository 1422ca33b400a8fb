//! Definitions as stores keep them.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::StoreError;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::model::{
    id::{InvalidId, PollId},
    poll_state::{PollState, Seals},
};

pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

pub(crate) fn write(value: &(impl Serialize + ?Sized)) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::unavailable)
}

/// The id of a poll that was deleted, and the seals in the state that it had.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn tombstone(id: &str, state: &str) -> Result<(PollId, Seals), StoreError> {
    let corrupt = |error: InvalidId| StoreError::Corrupt(error.to_string());
    let state: PollState = read(state)?;
    Ok((id.parse().map_err(corrupt)?, state.seals().clone()))
}

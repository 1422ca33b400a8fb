//! Time zones, and moments in them.

use std::sync::OnceLock;

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};
use voting_core::model::moment::Moment;

/// The zone of a poll that has none.
pub(crate) const UTC: &str = "UTC";

/// The database in the binary: it is the same on every machine.
pub(crate) fn database() -> &'static TimeZoneDatabase {
    static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
    DATABASE.get_or_init(TimeZoneDatabase::bundled)
}

/// The zone with this IANA name, in upper or lower case.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    match name {
        UTC => Some(TimeZone::UTC),
        _ => database().get(name).ok(),
    }
}

/// A moment for calculations with dates.
pub(crate) fn timestamp(moment: Moment) -> Timestamp {
    let ms = i64::try_from(moment.unix_ms()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

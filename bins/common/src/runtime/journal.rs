//! Log lines in the format of systemd's journal: each begins with its priority, and the journal adds the time.

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// The priority of an error, as in `syslog(3)`.
pub(crate) const ERROR: &str = "<3>";

/// Whether the standard error output is the journal. systemd gives the device and the inode of the socket, since a
/// process inherits the variable even if its output was redirected.
#[cfg(unix)]
pub(crate) fn is_read() -> bool {
    use std::{
        fs::File,
        os::{fd::AsFd, unix::fs::MetadataExt},
    };
    let Ok(named) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let own = std::io::stderr().as_fd().try_clone_to_owned();
    let own = own.and_then(|own| File::from(own).metadata());
    own.is_ok_and(|own| named == format!("{}:{}", own.dev(), own.ino()))
}

#[cfg(not(unix))]
pub(crate) fn is_read() -> bool {
    false
}

/// Puts the priority in front of lines, if they are for the journal.
pub(crate) struct WithPriority<F> {
    pub(crate) inner: F,
    pub(crate) is_for_journal: bool,
}

impl<F, S, N> FormatEvent<S, N> for WithPriority<F>
where
    F: FormatEvent<S, N>,
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        if !self.is_for_journal {
            return self.inner.format_event(context, writer, event);
        }
        let priority = match *event.metadata().level() {
            Level::ERROR => ERROR,
            Level::WARN => "<4>",
            Level::INFO => "<6>",
            _ => "<7>",
        };
        let mut text = String::new();
        self.inner
            .format_event(context, Writer::new(&mut text), event)?;
        // The journal makes a separate entry of each line.
        text.lines()
            .try_for_each(|line| writeln!(writer, "{priority}{line}"))
    }
}

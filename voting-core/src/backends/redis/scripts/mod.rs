//! What Redis must do, or find out, in one step.

use ::redis::Script;

pub(in crate::backends::redis) struct Scripts {
    pub(in crate::backends::redis) append: Script,
    pub(in crate::backends::redis) seal: Script,
    pub(in crate::backends::redis) set_windows: Script,
    pub(in crate::backends::redis) sealed: Script,
    pub(in crate::backends::redis) raise: Script,
    pub(in crate::backends::redis) acknowledge: Script,
    pub(in crate::backends::redis) remove_consumers: Script,
    pub(in crate::backends::redis) rewind: Script,
    pub(in crate::backends::redis) room: Script,
    pub(in crate::backends::redis) writable: Script,
    pub(in crate::backends::redis) acknowledgeable: Script,
    pub(in crate::backends::redis) keys: Script,
    pub(in crate::backends::redis) exchange: Script,
    /// The server's time, and that in the id of the last entry, in milliseconds since 1970; the log's key says which server.
    pub(in crate::backends::redis) time: Script,
}

impl Scripts {
    pub(in crate::backends::redis) fn new() -> Self {
        Self {
            append: Script::new(include_str!("append.lua")),
            seal: Script::new(include_str!("seal.lua")),
            set_windows: Script::new(include_str!("set_windows.lua")),
            sealed: Script::new(include_str!("sealed.lua")),
            raise: Script::new(include_str!("raise.lua")),
            acknowledge: Script::new(include_str!("acknowledge.lua")),
            remove_consumers: Script::new(include_str!("remove_consumers.lua")),
            rewind: Script::new(include_str!("rewind.lua")),
            room: Script::new(include_str!("room.lua")),
            writable: Script::new(include_str!("writable.lua")),
            acknowledgeable: Script::new(include_str!("acknowledgeable.lua")),
            keys: Script::new(include_str!("keys.lua")),
            exchange: Script::new(include_str!("exchange.lua")),
            time: Script::new(include_str!("time.lua")),
        }
    }
}

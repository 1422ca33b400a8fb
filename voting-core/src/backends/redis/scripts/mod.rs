//! What Redis must do, or find out, in one step.

use ::redis::Script;

pub(super) struct Scripts {
    pub(super) append: Script,
    pub(super) seal: Script,
    pub(super) sealed: Script,
    pub(super) raise: Script,
    pub(super) acknowledge: Script,
    pub(super) remove_consumers: Script,
    pub(super) rewind: Script,
    pub(super) room: Script,
    pub(super) writable: Script,
    pub(super) acknowledgeable: Script,
    /// The server's time in milliseconds since 1970; its key says which server.
    pub(super) time: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            append: Script::new(include_str!("append.lua")),
            seal: Script::new(include_str!("seal.lua")),
            sealed: Script::new(include_str!("sealed.lua")),
            raise: Script::new(include_str!("raise.lua")),
            acknowledge: Script::new(include_str!("acknowledge.lua")),
            remove_consumers: Script::new(include_str!("remove_consumers.lua")),
            rewind: Script::new(include_str!("rewind.lua")),
            room: Script::new(include_str!("room.lua")),
            writable: Script::new(include_str!("writable.lua")),
            acknowledgeable: Script::new(include_str!("acknowledgeable.lua")),
            time: Script::new(
                "local t = redis.call('TIME')
                 return t[1] * 1000 + math.floor(t[2] / 1000)",
            ),
        }
    }
}

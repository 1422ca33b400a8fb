//! The common parts of the pages of all services: templates, assets, links, and which poll a page is about.

pub(crate) mod accept;
pub(crate) mod assets;
pub(crate) mod compression;
pub(crate) mod language;
pub(crate) mod other_polls;
pub(crate) mod poll_list;
pub(crate) mod poll_of_page;
pub(crate) mod preview;
pub(crate) mod qr;
pub(crate) mod site;
pub(crate) mod templates;

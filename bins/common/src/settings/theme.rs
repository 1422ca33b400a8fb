//! The theme of the voters' pages, from the settings.

use std::{fs, io, path::PathBuf};

use voting_http::{InvalidTheme, Theme};

use crate::settings::config::Config;

/// Why the theme cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThemeError {
    /// A value is not valid.
    #[error("{setting} is not valid")]
    Invalid {
        /// The name of the setting.
        setting: &'static str,
        /// What is wrong with it.
        source: InvalidTheme,
    },
    /// The logo cannot be read.
    #[error("theme.logo_file: cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Config {
    /// The theme of the voters' pages, if one is set.
    ///
    /// # Errors
    /// A value is not valid, or the logo cannot be read.
    pub fn theme(&self) -> Result<Option<Theme>, ThemeError> {
        let settings = &self.theme;
        let invalid = |setting| move |source| ThemeError::Invalid { setting, source };
        let mut theme = None;
        if let Some(name) = &settings.name {
            let named = Theme::default().with_name(name);
            theme = Some(named.map_err(invalid("theme.name"))?);
        }
        if let Some(colour) = &settings.colour {
            let coloured = theme.unwrap_or_default().with_colour(colour);
            theme = Some(coloured.map_err(invalid("theme.colour"))?);
        }
        if let Some(path) = &settings.logo_file {
            let bytes = fs::read(path).map_err(|source| ThemeError::Unreadable {
                path: path.clone(),
                source,
            })?;
            let with_logo = theme.unwrap_or_default().with_logo(bytes);
            theme = Some(with_logo.map_err(invalid("theme.logo_file"))?);
        }
        Ok(theme)
    }
}

#[cfg(test)]
mod tests {
    use voting_core::error::in_one_line;

    use super::*;

    fn fault(set: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        set(&mut config);
        in_one_line(&config.theme().expect_err("a fault"))
    }

    #[test]
    fn a_theme_is_optional_and_a_fault_names_its_setting() {
        assert!(Config::default().theme().unwrap().is_none());
        let colour = fault(|config| config.theme.colour = Some("teal".to_owned()));
        assert!(
            colour.contains("theme.colour") && colour.contains("#0b6067"),
            "{colour}"
        );
        let name = fault(|config| config.theme.name = Some(String::new()));
        assert!(name.contains("theme.name"), "{name}");
        let folder = tempfile::tempdir().unwrap();
        let logo = folder.path().join("logo.gif");
        let missing = fault(|config| config.theme.logo_file = Some(logo.clone()));
        assert!(
            missing.contains("cannot read") && missing.contains("logo.gif"),
            "{missing}"
        );
        fs::write(&logo, "GIF89a").unwrap();
        let gif = fault(|config| config.theme.logo_file = Some(logo.clone()));
        assert!(
            gif.contains("theme.logo_file") && gif.contains("PNG"),
            "{gif}"
        );
        fs::write(&logo, "<svg viewBox='0 0 2 1'/>").unwrap();
        let mut config = Config::default();
        config.theme.logo_file = Some(logo);
        config.theme.name = Some("Chess club".to_owned());
        assert!(config.theme().unwrap().is_some());
    }
}

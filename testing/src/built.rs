//! Whether the programs that tests start are there, as the sources say now.

use std::{fs, io, path::Path, time::SystemTime};

/// Whether each of these programs is in `folder`, a `target/<profile>`, and no source that it was made of has
/// changed since. `cargo test --workspace` has built them then, and to ask Cargo for them alone would build them
/// anew: of fewer packages it selects other features.
pub fn are_built(folder: &Path, programs: &[&str]) -> bool {
    let is_built = |program: &&str| is_current(&folder.join(program)).unwrap_or(false);
    programs.iter().all(is_built)
}

fn is_current(program: &Path) -> io::Result<bool> {
    let built = fs::metadata(program)?.modified()?;
    // Cargo writes there what it was made of: `program: source source …`, with `\ ` for a space.
    let sources = fs::read_to_string(program.with_extension("d"))?;
    let (_, sources) = sources.split_once(": ").unwrap_or_default();
    let sources = sources.trim().replace("\\ ", "\0");
    for source in sources.split(' ').map(|path| path.replace('\0', " ")) {
        let changed = fs::metadata(source)?.modified()?;
        if changed > built {
            return Ok(false);
        }
    }
    Ok(built > SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_program_is_built_while_none_of_its_sources_is_newer() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let source = at("a source.rs");
        fs::write(&source, "").unwrap();
        let built = |programs: &[&str]| are_built(folder.path(), programs);
        assert!(!built(&["program"]), "it is not there");
        fs::write(at("program"), "").unwrap();
        assert!(!built(&["program"]), "what it was made of is not known");
        let listed = source.display().to_string().replace(' ', "\\ ");
        fs::write(
            at("program.d"),
            format!("{}: {listed}\n", at("program").display()),
        )
        .unwrap();
        assert!(built(&["program"]));
        assert!(!built(&["program", "other"]));
        let later = SystemTime::now() + Duration::from_secs(9);
        fs::File::options()
            .append(true)
            .open(&source)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert!(!built(&["program"]), "a source has changed");
        fs::remove_file(&source).unwrap();
        assert!(!built(&["program"]), "a source is gone");
    }
}

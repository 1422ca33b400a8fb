//! The forgetful disk, mounted, as programs see it.
#![cfg(target_os = "linux")]

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use voting_torture::disk::{ForgetfulDisk, PowerCut, is_expected};

/// `None` where there is no FUSE and none is expected.
fn disk() -> Option<ForgetfulDisk> {
    match ForgetfulDisk::mount() {
        Ok(disk) => Some(disk),
        Err(error) => {
            assert!(!is_expected(), "{error}: {}", error.0);
            eprintln!("not tested: {error}: {}", error.0);
            None
        }
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("a text")
}

#[test]
fn a_power_cut_takes_what_was_not_synced_and_nothing_else() {
    let Some(disk) = disk() else { return };
    let path = disk.path().join("file");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"synced").unwrap();
    file.sync_data().unwrap();
    file.write_all(b" and not").unwrap();
    drop(file);
    assert_eq!(text(&path), "synced and not");
    disk.cut(PowerCut::all_forgotten());
    assert_eq!(text(&path), "synced");
    assert_eq!(fs::metadata(&path).unwrap().len(), 6);
}

#[test]
fn a_write_through_needs_no_sync() {
    let Some(disk) = disk() else { return };
    let path = disk.path().join("file");
    let o_dsync = 0o10_000;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .custom_flags(o_dsync)
        .open(&path)
        .unwrap();
    file.write_all(b"through").unwrap();
    drop(file);
    disk.cut(PowerCut::all_forgotten());
    assert_eq!(text(&path), "through");
}

#[test]
fn a_file_that_was_never_synced_is_gone_and_one_that_was_only_removed_is_back() {
    let Some(disk) = disk() else { return };
    let (new, old) = (disk.path().join("new"), disk.path().join("old"));
    fs::write(&old, "old").unwrap();
    disk.sync_all();
    fs::remove_file(&old).unwrap();
    fs::create_dir(disk.path().join("folder")).unwrap();
    fs::write(disk.path().join("folder").join("file"), "x").unwrap();
    fs::write(&new, "new").unwrap();
    disk.cut(PowerCut::all_forgotten());
    let names: Vec<_> = fs::read_dir(disk.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["old"]);
    assert_eq!(text(&old), "old");
}

#[test]
fn a_file_that_replaces_another_does_so_once_its_folder_is_synced() {
    let Some(disk) = disk() else { return };
    let (path, new) = (disk.path().join("file"), disk.path().join("new"));
    fs::write(&path, "old").unwrap();
    disk.sync_all();
    let replace = || {
        let mut file = File::create(&new).unwrap();
        file.write_all(b"new").unwrap();
        file.sync_all().unwrap();
        fs::rename(&new, &path).unwrap();
    };
    replace();
    assert_eq!(text(&path), "new");
    disk.cut(PowerCut::all_forgotten());
    assert_eq!(
        (text(&path), text(&new)),
        ("old".to_owned(), "new".to_owned())
    );
    replace();
    File::open(disk.path()).unwrap().sync_all().unwrap();
    disk.cut(PowerCut::all_forgotten());
    assert_eq!(text(&path), "new");
    assert!(!new.exists());
}

#[test]
fn a_synced_file_is_found_again_however_new_the_folders_above_it() {
    let Some(disk) = disk() else { return };
    let folder = disk.path().join("a").join("b");
    fs::create_dir_all(&folder).unwrap();
    let mut file = File::create(folder.join("file")).unwrap();
    file.write_all(b"here").unwrap();
    file.sync_all().unwrap();
    drop(file);
    fs::write(folder.join("other"), "not").unwrap();
    disk.cut(PowerCut::all_forgotten());
    assert_eq!(text(&folder.join("file")), "here");
    assert!(!folder.join("other").exists());
}

#[test]
fn what_a_file_lost_at_its_end_comes_back() {
    let Some(disk) = disk() else { return };
    let path = disk.path().join("file");
    fs::write(&path, "0123456789").unwrap();
    disk.sync_all();
    File::create(&path).unwrap().write_all(b"x").unwrap();
    assert_eq!(text(&path), "x");
    disk.cut(PowerCut::all_forgotten());
    assert_eq!(text(&path), "0123456789");
}

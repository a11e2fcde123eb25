//! What is written is there whole, with the rights and at the place it should have; whatever fails loses nothing.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gradloom_files::{Error, remove_stale, replace, write};

/// The file that a child process shall write.
const FILE: &str = "GRADLOOM_TEST_FILE";
/// What the child does with it.
const DEED: &str = "GRADLOOM_TEST_DEED";

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A process that does something with a file.
fn child(deed: &str, file: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "the_deed_of_a_child", "--nocapture"])
        .env(FILE, file)
        .env(DEED, deed)
        .stdout(Stdio::piped());
    command
}

/// Not a test by itself: what a child process does.
#[test]
fn the_deed_of_a_child() {
    let Some(file) = std::env::var_os(FILE) else { return };
    match std::env::var(DEED).unwrap().as_str() {
        "write" => write(&file, b"by a child").unwrap(),
        "write much" => {
            let error = write(&file, &vec![1; 1 << 20]).unwrap_err();
            println!("REFUSED {error}");
        }
        "hang" => {
            let _ = replace(&file, |writer| {
                writer.write_all(&vec![1; 1 << 21])?;
                println!("WRITING");
                std::thread::sleep(std::time::Duration::from_secs(600));
                Ok(())
            });
        }
        other => panic!("no deed {other}"),
    }
}

/// A child in the middle of writing.
fn hanging(file: &Path) -> Child {
    use std::io::BufRead;
    let mut child = child("hang", file).spawn().unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("WRITING")));
    child
}

#[test]
fn what_fails_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write(&path, b"old").unwrap();
    let error = replace(&path, |writer| {
        writer.write_all(&vec![1; 3 << 20])?;
        Err(Error::invalid("content: there is none"))
    });
    assert_eq!(error.unwrap_err().to_string(), "content: there is none");
    let panicked = std::panic::catch_unwind(|| replace(&path, |_| panic!("on purpose")));
    assert!(panicked.is_err());
    assert_eq!(
        (fs::read(&path).unwrap(), names(folder.path())),
        (b"old".to_vec(), vec!["file".into()])
    );
    write(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn a_place_that_is_none_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let error = write(folder.path().join("no/file"), b"x").unwrap_err();
    let text = error.to_string();
    assert!(error.is_not_found() && text.contains("there is no folder"), "{text}");
    let error = write(folder.path(), b"x").unwrap_err().to_string();
    assert!(error.contains("it is a folder"), "{error}");
    assert!(write("", b"x").is_err());
    write(folder.path().join("file"), b"x").unwrap();
    assert!(write(folder.path().join("file/below"), b"x").is_err());
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn many_who_write_one_file_leave_one_of_their_contents() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::thread::scope(|scope| {
        for writer in 0..8_u8 {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..20 {
                    write(path, &vec![writer; 100_000]).unwrap();
                    remove_stale(path.parent().unwrap()).unwrap();
                }
            });
        }
    });
    let read = fs::read(&path).unwrap();
    assert!(read.len() == 100_000 && read.iter().all(|&byte| byte == read[0] && byte < 8));
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write(&path, b"old").unwrap();
    let own = [".gradloom-notes", ".gradloom-0123456789abcdefg", ".gradloom-0123456789abcdef.txt"];
    for name in own {
        fs::write(folder.path().join(name), "of somebody else").unwrap();
    }
    let mut writing = hanging(&path);
    assert_eq!(names(folder.path()).len(), 5);
    assert_eq!(remove_stale(folder.path()).unwrap(), 0);
    // A process that writes here for the first time cleans, and lets be what the other writes.
    assert!(child("write", &folder.path().join("other")).status().unwrap().success());
    assert_eq!(names(folder.path()).len(), 6);
    writing.kill().unwrap();
    writing.wait().unwrap();
    assert_eq!((names(folder.path()).len(), fs::read(&path).unwrap()), (6, b"old".to_vec()));
    assert!(child("write", &path).status().unwrap().success());
    assert_eq!(fs::read(&path).unwrap(), b"by a child");
    assert_eq!(names(folder.path()).len(), 5);
    assert!(own.iter().all(|name| folder.path().join(name).exists()));
    assert!(remove_stale(folder.path().join("none")).unwrap_err().is_not_found());
}

#[cfg(unix)]
mod unix {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;
    use std::process::Command;

    use gradloom_files::write;

    use super::{child, names};

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    /// Runs a child as the last command of a shell.
    fn child_of_shell(before: &str, deed: &str, file: &Path) -> std::process::Output {
        let child = child(deed, file);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{before}; exec \"$0\" \"$@\"")]).arg(child.get_program());
        shell.args(child.get_args());
        shell.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.output().unwrap()
    }

    #[test]
    fn a_new_file_has_ordinary_rights_and_an_old_one_keeps_its_own() {
        let folder = tempfile::tempdir().unwrap();
        for (mask, expected) in [("022", 0o644), ("027", 0o640), ("000", 0o666)] {
            let path = folder.path().join(mask);
            let done = child_of_shell(&format!("umask {mask}"), "write", &path);
            assert!(done.status.success());
            assert_eq!(mode(&path), expected, "umask {mask}");
        }
        let path = folder.path().join("old");
        for rights in [0o600, 0o664, 0o755] {
            write(&path, b"x").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(rights)).unwrap();
            write(&path, b"y").unwrap();
            assert_eq!((mode(&path), fs::read(&path).unwrap()), (rights, b"y".to_vec()));
        }
        fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        let error = write(&path, b"z").unwrap_err().to_string();
        assert!(error.ends_with("old: writing failed: the file is read-only"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"y");
    }

    #[test]
    fn a_link_stays_one_and_what_it_names_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("far")).unwrap();
        symlink("far/file", at("link")).unwrap();
        symlink("link", at("link of link")).unwrap();
        // At first it leads to nothing.
        for content in [&b"first"[..], b"second"] {
            write(at("link of link"), content).unwrap();
            assert_eq!(fs::read(at("far/file")).unwrap(), content);
        }
        let is_link = |name: &str| at(name).symlink_metadata().unwrap().is_symlink();
        assert!(is_link("link") && is_link("link of link") && !is_link("far/file"));
        assert_eq!(names(&at("far")), ["file"]);
        symlink("round", at("round")).unwrap();
        assert!(write(at("round"), b"x").is_err());
        symlink("nowhere/file", at("lost")).unwrap();
        assert!(write(at("lost"), b"x").unwrap_err().is_not_found());
    }

    #[test]
    fn a_device_is_written_into_and_says_once_that_it_is_full() {
        write("/dev/null", b"x").unwrap();
        assert!(!Path::new("/dev/null").is_file());
        if !Path::new("/dev/full").exists() {
            eprintln!("skipped: there is no /dev/full");
            return;
        }
        let error = write("/dev/full", b"x").unwrap_err();
        let text = error.to_string();
        assert!(error.is_io() && text.starts_with("/dev/full: writing failed: "), "{text}");
        assert_eq!(text.matches("(os error 28)").count(), 1, "{text}");
    }

    #[test]
    fn a_disk_that_becomes_full_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old").unwrap();
        // A limit of 64 blocks of 512 bytes, met in the middle of a file; the signal would kill the process.
        let done = child_of_shell("trap '' XFSZ; ulimit -f 64", "write much", &path);
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(told.contains("REFUSED") && told.contains("file: writing failed: "), "{told}");
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"old".to_vec(), vec!["file".into()])
        );

        let disk = folder.path().join("disk");
        fs::create_dir(&disk).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "none"])
            .arg(&disk)
            .output();
        if !mounted.is_ok_and(|done| done.status.success()) {
            eprintln!("skipped: no disk of 64 kB can be mounted");
            return;
        }
        let path = disk.join("file");
        write(&path, b"old").unwrap();
        let error = write(&path, &vec![1; 1 << 20]).unwrap_err().to_string();
        let found = (fs::read(&path).unwrap(), names(&disk));
        assert!(Command::new("umount").arg(&disk).status().unwrap().success());
        assert_eq!(found, (b"old".to_vec(), vec!["file".into()]));
        assert_eq!(error.matches("(os error 28)").count(), 1, "{error}");
    }

    #[test]
    fn a_folder_that_is_read_only_keeps_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
        let is_obeyed = fs::write(folder.path().join("probe"), b"x").is_err();
        let written = write(&path, b"new");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        if !is_obeyed {
            eprintln!("skipped: the super-user may write anywhere");
            return;
        }
        let error = written.unwrap_err().to_string();
        assert_eq!(error.matches("(os error 13)").count(), 1, "{error}");
        assert_eq!(
            (fs::read(&path).unwrap(), names(folder.path())),
            (b"old".to_vec(), vec!["file".into()])
        );
    }
}

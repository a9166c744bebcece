use std::io::Write as _;

use tempfile::tempdir;

use super::*;

fn batch(revision: u64) -> ChangeBatch {
    let entry = StoreEntry {
        key: format!("k/{revision}"),
        value: Bytes::from_static(b"value"),
        create_revision: revision,
        mod_revision: revision,
    };
    ChangeBatch { revision, changes: vec![KeyChange::Put(entry)], attested: true }
}

#[test]
fn written_entries_are_read_again_with_their_revisions() {
    let directory = tempdir().expect("a directory");
    let (mut disk, new) = StoreFile::open(directory.path(), 7).expect("opens");
    assert_eq!((new.revision, new.cluster_id, new.entries.len()), (0, 7, 0));
    disk.write(&[batch(1), batch(2)]).expect("is written");
    let gone = KeyChange::Delete { key: "k/1".into() };
    disk.write(&[ChangeBatch { revision: 3, changes: vec![gone], attested: true }]).expect("is written");
    drop(disk);
    let (_disk, again) = StoreFile::open(directory.path(), 8).expect("opens");
    let KeyChange::Put(expected) = batch(2).changes.remove(0) else { panic!("a put") };
    assert_eq!((again.revision, again.cluster_id, again.entries), (3, 7, vec![expected]));
}

#[test]
fn a_directory_is_private_and_serves_one_process() {
    let parent = tempdir().expect("a directory");
    let directory = parent.path().join("a/b");
    let (disk, _) = StoreFile::open(&directory, 1).expect("opens");
    let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&directory.join("usher.redb"))), (0o700, 0o600));
    let error = StoreFile::open(&directory, 1).map(drop).expect_err("is in use");
    assert!(matches!(error, EmbeddedOpenError::InUse(_)), "{error}");
    drop(disk);
    StoreFile::open(&directory, 1).map(drop).expect("is free again");
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let directory = tempdir().expect("a directory");
    let path = directory.path().join("usher.redb");
    let garbage = vec![b'x'; 70_000];
    fs::write(&path, &garbage).expect("is written");
    let error = StoreFile::open(directory.path(), 1).map(drop).expect_err("is no store");
    assert!(error.to_string().contains("usher.redb"), "{error}");
    assert_eq!(fs::read(&path).expect("exists"), garbage);
}

#[test]
fn a_cut_file_is_refused() {
    let directory = tempdir().expect("a directory");
    let (mut disk, _) = StoreFile::open(directory.path(), 1).expect("opens");
    (1..200).for_each(|revision| disk.write(&[batch(revision)]).expect("is written"));
    drop(disk);
    let file = File::options().write(true).open(directory.path().join("usher.redb")).expect("exists");
    file.set_len(10_000).expect("is cut");
    StoreFile::open(directory.path(), 1).map(drop).expect_err("is damaged");
}

#[test]
fn a_file_in_place_of_the_directory_is_an_error() {
    let directory = tempdir().expect("a directory");
    let path = directory.path().join("data");
    File::create(&path).and_then(|mut file| file.write_all(b"x")).expect("is written");
    let error = StoreFile::open(&path, 1).map(drop).expect_err("is a file");
    assert!(matches!(&error, EmbeddedOpenError::Directory { path: named, .. } if *named == path), "{error}");
}

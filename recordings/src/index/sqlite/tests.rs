use std::os::unix::fs::PermissionsExt as _;

use super::{page, rows, *};

async fn plan(index: &SqliteIndex, sql: &'static str) -> String {
    let explain = sqlx::AssertSqlSafe(format!("explain query plan {sql}"));
    let rows = sqlx::query(explain).fetch_all(&index.pools.readers).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail") + "\n").collect()
}

#[tokio::test]
async fn each_list_finds_its_recordings_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let index = SqliteIndex::open(&folder.path().join("index.db")).await.unwrap();
    for (list, expected) in [
        (page::OF_TENANT, "recordings_by_start (tenant=?)"),
        (page::BY_MEETINGS, "recordings_by_meeting (tenant=? AND meeting_id=?)"),
        (page::BY_PREFIXES, "sqlite_autoindex_recordings_1 (record_id>? AND record_id<?)"),
    ] {
        let plan = plan(&index, list.ids).await;
        assert!(plan.contains(expected), "{plan}");
        assert!(!plan.contains("SCAN r\n"), "{plan}");
    }
    let newest = plan(&index, page::OF_TENANT.ids).await;
    assert!(!newest.contains("ORDER BY"), "the index has the order: {newest}");
    for sql in [rows::RECORDINGS, rows::FORMATS, offers::EXPIRED, offers::USED] {
        let plan = plan(&index, sql).await;
        let scans = plan.lines().filter(|line| line.starts_with("SCAN") && !line.contains("VIRTUAL TABLE"));
        assert!(scans.clone().all(|scan| scan.contains("CONSTANT ROW")), "{plan}");
    }
}

#[tokio::test]
async fn a_missing_folder_is_created_and_the_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/index.db");
    let first = SqliteIndex::open(&path).await.unwrap();
    let _second = SqliteIndex::open(&path).await.unwrap();
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let mode = std::fs::metadata(path.with_file_name(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    first.close().await;
}

#[tokio::test]
async fn a_path_that_cannot_be_opened_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = SqliteIndex::open(folder.path()).await.unwrap_err();
    assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    let text = folder.path().join("text");
    std::fs::write(&text, "no database at all, but a text of some length").unwrap();
    let error = SqliteIndex::open(&text).await.unwrap_err();
    assert!(error.to_string().contains(text.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let index = SqliteIndex::open(&path).await.unwrap();
    let newer = "update _sqlx_migrations set version = 99";
    sqlx::query(newer).execute(&index.pools.writer).await.unwrap();
    index.close().await;
    let error = SqliteIndex::open(&path).await.unwrap_err();
    assert!(matches!(error, IndexOpenError::Newer { schema: 99, .. }), "{error}");
    assert!(error.to_string().contains("start the version that wrote the database"), "{error}");
}

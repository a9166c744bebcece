//! Opens a database file, and brings its schema up to date. The migrations are a part of the program.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, SqlSafeStr as _, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// The number of connections that read at once; one more writes.
const READERS: u32 = 4;
/// How long a statement waits for the lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call waits for a connection: longer than a statement, so that one slow writer fails no second
/// call.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest size of the write-ahead log between two checkpoints, bytes.
const JOURNAL_LIMIT: &str = "67108864";

/// The reason why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum IndexOpenError {
    /// The file or its directory cannot be created or opened.
    #[error("the database {} cannot be opened", path.display())]
    File {
        /// The path of the database.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is no database, or the database refuses.
    #[error("the database {} cannot be used", path.display())]
    Database {
        /// The path of the database.
        path: PathBuf,
        /// The cause.
        #[source]
        source: sqlx::Error,
    },
    /// A newer version of Usher has written the database.
    #[error(
        "the database {} has schema {schema}, which this version of Usher does not know: start the version that \
         wrote the database or a later one, or restore the backup from before the upgrade",
        path.display()
    )]
    Newer {
        /// The path of the database.
        path: PathBuf,
        /// The number of the unknown schema.
        schema: i64,
    },
    /// The schema cannot be brought up to date.
    #[error("the schema of the database {} cannot be brought up to date", path.display())]
    Schema {
        /// The path of the database.
        path: PathBuf,
        /// The cause.
        #[source]
        source: MigrateError,
    },
}

/// The connections of one database.
#[derive(Debug, Clone)]
pub(super) struct DatabasePools {
    /// The one connection that writes.
    pub(super) writer: SqlitePool,
    /// The connections that read.
    pub(super) readers: SqlitePool,
}

/// Opens a database, which is created where it is missing, for its owner only.
pub(super) async fn open(path: &Path) -> Result<DatabasePools, IndexOpenError> {
    create(path).await.map_err(|source| IndexOpenError::File { path: path.to_owned(), source })?;
    let failed = |source| IndexOpenError::Database { path: path.to_owned(), source };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        // An acknowledged write survives the loss of power, not only the end of the process.
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging();
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    let writing =
        options.clone().journal_mode(SqliteJournalMode::Wal).pragma("journal_size_limit", JOURNAL_LIMIT);
    let writer = pool(1).connect_with(writing).await.map_err(failed)?;
    migrate(&writer, path).await?;
    let readers = pool(READERS).connect_with(options.pragma("query_only", "on")).await.map_err(failed)?;
    Ok(DatabasePools { writer, readers })
}

/// Creates the file before SQLite does, which would let everybody read it. The files beside it get the same
/// mode.
async fn create(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).await?;
    }
    let mut options = tokio::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).await?;
    Ok(())
}

/// Applies the missing migrations in one transaction, which also keeps a second process from doing the same.
async fn migrate(writer: &SqlitePool, path: &Path) -> Result<(), IndexOpenError> {
    let failed = |source| IndexOpenError::Database { path: path.to_owned(), source };
    let mut transaction = writer.begin_with("begin immediate").await.map_err(failed)?;
    migrator().run_direct(None, &mut *transaction, false).await.map_err(|source| match source {
        MigrateError::VersionMissing(schema) => IndexOpenError::Newer { path: path.to_owned(), schema },
        source => IndexOpenError::Schema { path: path.to_owned(), source },
    })?;
    transaction.commit().await.map_err(failed)
}

fn migrator() -> Migrator {
    let sql = include_str!("schema/1_recordings.sql").into_sql_str();
    Migrator::with_migrations(vec![Migration::new(1, "recordings".into(), MigrationType::Simple, sql, false)])
}

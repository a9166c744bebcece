-- The tables of the index. All times are milliseconds since 1970, all texts of facts are JSON. A Postgres
-- index has the same tables and columns. A text of a migration never changes once it is released: its
-- checksum is in the database.

create table recordings (
    record_id text not null primary key,
    version integer not null,
    tenant text not null,
    initial_published integer not null,
    initial_protected integer not null,
    edits text not null,
    held integer not null,
    deleted_ms integer,
    server text,
    updated_ms integer not null,
    -- The columns below are derived of the columns above and of the formats.
    meeting_id text not null,
    internal_id text not null,
    name text not null,
    state text not null check (state in ('published', 'unpublished', 'deleted')),
    protected integer not null,
    start_ms integer not null,
    end_ms integer not null,
    participants integer not null,
    raw_size integer not null,
    is_breakout integer not null,
    meta text not null,
    bytes integer not null
) strict;

-- The state is the last column, so that a page is skipped and counted in the index alone.
create index recordings_by_start on recordings (tenant, start_ms desc, record_id desc, state);
create index recordings_by_meeting on recordings (tenant, meeting_id, start_ms desc, record_id desc, state);
create index recordings_by_deletion on recordings (deleted_ms) where deleted_ms is not null;

create table formats (
    record_id text not null references recordings (record_id) on delete cascade,
    format text not null,
    generation text not null,
    files integer not null,
    bytes integer not null,
    facts text not null,
    primary key (record_id, format)
) strict;

-- A generation outlives its format until its files are removed.
create table generations (
    record_id text not null,
    format text not null,
    generation text not null,
    files integer not null,
    bytes integer not null,
    retired_ms integer,
    primary key (record_id, format, generation)
) strict;

create index generations_by_retirement on generations (retired_ms) where retired_ms is not null;

create table tombstones (
    record_id text not null primary key,
    tenant text not null,
    deleted_ms integer not null
) strict;

create table offers (
    id text not null primary key,
    record_id text not null,
    format text not null,
    generation text not null,
    server text not null,
    tenant text not null,
    facts text not null,
    expires_ms integer not null,
    unique (record_id, format, generation, server, tenant)
) strict;

create index offers_by_end on offers (expires_ms);

create table usage (
    tenant text not null,
    state text not null,
    recordings integer not null check (recordings >= 0),
    bytes integer not null check (bytes >= 0),
    primary key (tenant, state)
) strict;

create table journal (
    at_ms integer not null,
    tenant text not null,
    record_id text not null,
    what text not null
) strict;

create index journal_by_time on journal (tenant, at_ms);

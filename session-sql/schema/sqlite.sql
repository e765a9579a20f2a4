-- Sessions, for SQLite. Ids are digests. Times are milliseconds since 1970 by the clock of the machine.
CREATE TABLE IF NOT EXISTS sessions (
    digest            BLOB    NOT NULL PRIMARY KEY,
    commits           BLOB    NOT NULL,
    deadline          INTEGER NOT NULL,
    holder            BLOB,
    lease_until       INTEGER NOT NULL,
    absolute_deadline INTEGER NOT NULL,
    principal         BLOB,
    data              BLOB    NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS sessions_deadline ON sessions (deadline);
CREATE INDEX IF NOT EXISTS sessions_principal ON sessions (principal, digest) WHERE principal IS NOT NULL;

-- How often all sessions of a principal were revoked.
CREATE TABLE IF NOT EXISTS sessions_epochs (
    principal BLOB    NOT NULL PRIMARY KEY,
    epoch     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sessions, for PostgreSQL 12 and newer. Ids are digests. Times are milliseconds since 1970 by the
-- clock of the server.
CREATE TABLE IF NOT EXISTS sessions (
    digest            bytea  NOT NULL PRIMARY KEY,
    commits           bytea  NOT NULL,
    deadline          bigint NOT NULL,
    holder            bytea,
    lease_until       bigint NOT NULL,
    absolute_deadline bigint NOT NULL,
    principal         bytea,
    data              bytea  NOT NULL,
    wanted_until      bigint NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS sessions_deadline ON sessions (deadline);
CREATE INDEX IF NOT EXISTS sessions_principal ON sessions (principal, digest) WHERE principal IS NOT NULL;

-- How often all sessions of a principal were revoked.
CREATE TABLE IF NOT EXISTS sessions_epochs (
    principal bytea  NOT NULL PRIMARY KEY,
    epoch     bigint NOT NULL
);

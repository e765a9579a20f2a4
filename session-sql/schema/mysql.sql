-- Sessions, for MySQL 8 and newer and MariaDB 10.6 and newer. Ids are digests, and all that is compared
-- is binary: the server's collation has no part in it. Times are milliseconds since 1970 by the clock
-- of the server.
CREATE TABLE IF NOT EXISTS sessions (
    digest            BINARY(32)    NOT NULL,
    commits           VARBINARY(84) NOT NULL,
    deadline          BIGINT        NOT NULL,
    holder            BINARY(16)    NULL,
    lease_until       BIGINT        NOT NULL,
    absolute_deadline BIGINT        NOT NULL,
    principal         BINARY(32)    NULL,
    data              LONGBLOB      NOT NULL,
    PRIMARY KEY (digest),
    KEY sessions_deadline (deadline),
    KEY sessions_principal (principal, digest)
) ENGINE = InnoDB;

-- How often all sessions of a principal were revoked.
CREATE TABLE IF NOT EXISTS sessions_epochs (
    principal BINARY(32) NOT NULL,
    epoch     BIGINT     NOT NULL,
    PRIMARY KEY (principal)
) ENGINE = InnoDB;

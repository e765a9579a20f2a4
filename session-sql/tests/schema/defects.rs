//! Tables that are not as they must be.

use session_sql::Engine;
use test_servers::TestResult;

use crate::{
    place::{Place, Servers},
    problems,
};

/// What stands in the schema, what stands there instead, and what is said of it.
type Defect = (&'static str, &'static str, &'static str);

const MYSQL: &[Defect] = &[
    (
        "digest            BINARY(32)    NOT NULL",
        "digest VARCHAR(255) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL",
        "column `digest` of `sessions` is varchar(255) with collation latin1_swedish_ci; expected binary(32)",
    ),
    (
        "digest            BINARY(32)    NOT NULL",
        "digest BINARY(16) NOT NULL",
        "column `digest` of `sessions` is binary(16); expected binary(32)",
    ),
    (
        "VARBINARY(84)",
        "VARBINARY(36)",
        "column `commits` of `sessions` is varbinary(36); expected varbinary(84)",
    ),
    ("LONGBLOB", "BLOB", "column `data` of `sessions` is blob; expected longblob"),
    (
        "absolute_deadline BIGINT        NOT NULL",
        "absolute_deadline INT NOT NULL",
        "column `absolute_deadline` of `sessions` is int; expected bigint",
    ),
    (
        "deadline          BIGINT        NOT NULL",
        "deadline BIGINT UNSIGNED NOT NULL",
        "column `deadline` of `sessions` is bigint unsigned; expected bigint",
    ),
    (
        "deadline          BIGINT        NOT NULL",
        "deadline BIGINT NULL",
        "column `deadline` of `sessions` takes null; expected not null",
    ),
    (
        "BINARY(16)    NULL",
        "BINARY(16) NOT NULL",
        "column `holder` of `sessions` takes no null; expected null",
    ),
    (
        "PRIMARY KEY (digest)",
        "PRIMARY KEY (digest(10))",
        "the primary key of `sessions` is (digest(10)); expected (digest)",
    ),
    ("    KEY sessions_deadline (deadline),\n", "", "table `sessions` has no index on (deadline)"),
    (
        "KEY sessions_deadline",
        "UNIQUE KEY sessions_deadline",
        "index `sessions_deadline` of `sessions` is unique; sessions may have the same (deadline)",
    ),
    (
        "(principal, digest)",
        "(digest, principal)",
        "table `sessions` has no index on (principal, digest)",
    ),
    ("InnoDB", "MyISAM", "table `sessions` is kept by MyISAM; expected InnoDB"),
    (
        "epoch     BIGINT     NOT NULL",
        "epoch VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL",
        "column `epoch` of `sessions_epochs` is varchar(20) with collation latin1_bin; expected bigint",
    ),
];

const POSTGRES: &[Defect] = &[
    (
        "digest            bytea ",
        "digest varchar(255) ",
        "column `digest` of `sessions` is character varying(255) with collation default; expected bytea",
    ),
    (
        "absolute_deadline bigint",
        "absolute_deadline integer",
        "column `absolute_deadline` of `sessions` is integer; expected bigint",
    ),
    (
        "deadline          bigint NOT NULL",
        "deadline bigint",
        "column `deadline` of `sessions` takes null; expected not null",
    ),
    (
        "holder            bytea,",
        "holder bytea NOT NULL,",
        "column `holder` of `sessions` takes no null; expected null",
    ),
    (
        "bigint NOT NULL DEFAULT 0",
        "integer NOT NULL DEFAULT 0",
        "column `wanted_until` of `sessions` is integer; expected bigint",
    ),
    (
        "data              bytea  NOT NULL",
        "data bytea NOT NULL, PRIMARY KEY (commits, digest)",
        "the primary key of `sessions` is (commits, digest); expected (digest)",
    ),
    (
        "CREATE INDEX IF NOT EXISTS sessions_deadline ON sessions (deadline)",
        "CREATE INDEX sessions_deadline ON sessions USING hash (deadline)",
        "table `sessions` has no index on (deadline)",
    ),
    (
        "WHERE principal IS NOT NULL",
        "WHERE deadline > 0",
        "table `sessions` has no index on (principal, digest)",
    ),
    (
        "CREATE INDEX IF NOT EXISTS sessions_deadline",
        "CREATE UNIQUE INDEX sessions_deadline",
        "index `sessions_deadline` of `sessions` is unique; sessions may have the same (deadline)",
    ),
    (
        "epoch     bigint NOT NULL",
        "epoch numeric NOT NULL",
        "column `epoch` of `sessions_epochs` is numeric; expected bigint",
    ),
];

const SQLITE: &[Defect] = &[
    (
        "digest            BLOB ",
        "digest TEXT ",
        "column `digest` of `sessions` is text; expected blob",
    ),
    (
        "deadline          INTEGER NOT NULL",
        "deadline INTEGER",
        "column `deadline` of `sessions` takes null; expected not null",
    ),
    (
        "holder            BLOB,",
        "holder BLOB NOT NULL,",
        "column `holder` of `sessions` takes no null; expected null",
    ),
    (
        "data              BLOB    NOT NULL",
        "data BLOB NOT NULL, PRIMARY KEY (commits, digest)",
        "the primary key of `sessions` is (commits, digest); expected (digest)",
    ),
    (
        "CREATE INDEX IF NOT EXISTS sessions_deadline ON sessions (deadline);",
        "",
        "table `sessions` has no index on (deadline)",
    ),
    (
        "WHERE principal IS NOT NULL",
        "WHERE deadline > 0",
        "table `sessions` has no index on (principal, digest)",
    ),
    (
        "CREATE INDEX IF NOT EXISTS sessions_deadline",
        "CREATE UNIQUE INDEX sessions_deadline",
        "index `sessions_deadline` of `sessions` is unique; sessions may have the same (deadline)",
    ),
    (
        "epoch     INTEGER",
        "epoch REAL",
        "column `epoch` of `sessions_epochs` is real; expected integer",
    ),
];

/// The same in the words of all.
const ALL: &[Defect] = &[
    (
        "    lease_until ",
        "    lease_end ",
        "column `lease_until` of `sessions` is missing; expected {int}",
    ),
    (
        "    lease_until ",
        "    note INTEGER NOT NULL,\n    lease_until ",
        "column `note` of `sessions` is not the store's; expected null or a default",
    ),
    (
        "TABLE IF NOT EXISTS sessions_epochs",
        "TABLE IF NOT EXISTS epochs",
        "table `sessions_epochs` is missing, or the user has no right to it",
    ),
];

/// What is different, but does no harm.
const HARMLESS: &[(&str, &str)] = &[
    (
        "    lease_until ",
        "    note INTEGER,\n    more INTEGER NOT NULL DEFAULT 7,\n    lease_until ",
    ),
    ("sessions_deadline", "by_another_name"),
    ("(deadline)", "(deadline, lease_until)"),
];

pub(crate) async fn check_names_each_defect(engine: Engine, servers: &Servers) -> TestResult {
    let own = match engine {
        Engine::Postgres => POSTGRES,
        Engine::Sqlite => SQLITE,
        _ => MYSQL,
    };
    let int = if engine == Engine::Sqlite { "integer" } else { "bigint" };
    for (n, (from, to, problem)) in own.iter().chain(ALL).enumerate() {
        let found = with(engine, servers, &format!("defect_{n}"), from, to).await?;
        let problem = problem.replace("{int}", int);
        // A column that is called otherwise is also one that nobody fills, and a primary key made
        // of two takes the place of one.
        assert!(found.contains(&problem), "{found:?} should have {problem:?}");
        let others = usize::from(to.contains("lease_end"));
        assert_eq!(found.len(), 1 + others, "{from} -> {to}: {found:?}");
    }
    Ok(())
}

pub(crate) async fn check_takes_what_does_no_harm(engine: Engine, servers: &Servers) -> TestResult {
    for (n, (from, to)) in HARMLESS.iter().enumerate() {
        let found = with(engine, servers, &format!("harmless_{n}"), from, to).await?;
        assert_eq!(found, [""; 0], "{from} -> {to}");
    }
    Ok(())
}

/// What is wrong with tables of a schema in which something was replaced.
async fn with(
    engine: Engine,
    servers: &Servers,
    name: &str,
    from: &str,
    to: &str,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let place = Place::new(engine, servers, name).await?;
    let mut schema = engine.schema().to_owned();
    assert!(schema.contains(from), "{from}");
    if to.contains("PRIMARY KEY (commits") {
        schema = schema.replacen(" PRIMARY KEY,", ",", 1);
    }
    place.execute(&schema.replacen(from, to, 1)).await?;
    Ok(problems(&place.open().await?).await?)
}

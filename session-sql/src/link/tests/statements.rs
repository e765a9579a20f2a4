//! Statements and what comes of them, the same on every engine.

use super::*;

const TABLE: &str = "
    -- One table.
    DROP TABLE IF EXISTS things;
    -- It has few columns.
    CREATE TABLE things (k BIGINT NOT NULL PRIMARY KEY, v BLOB NULL, n INT NOT NULL);
    -- That is all.
";

pub(super) async fn mean_the_same(link: &Link) {
    let engine = link.server().engine;
    let blob = match engine {
        Engine::Postgres => "bytea",
        Engine::Sqlite => "BLOB",
        _ => "LONGBLOB",
    };
    let table = TABLE.replace("BLOB", blob);
    link.define(&table).await.unwrap();
    link.define(&table).await.unwrap();
    writes_count_what_they_match(link, engine).await;
    values_come_back(link, engine).await;
    one_row_comes_back_or_none(link, engine).await;
    rows_of_a_write_are_counted(link, engine).await;
    what_is_missing_is_told(link).await;
    a_value_is_in_no_error(link, engine).await;
}

async fn writes_count_what_they_match(link: &Link, engine: Engine) {
    let insert = writes(&text(engine, "INSERT INTO things (k, v, n) VALUES (?, ?, 7)"));
    let answer = link.run(&insert, &[Arg::Int(1), Arg::Bytes(&[0, 255, 39])]).await.unwrap();
    assert_eq!((answer.affected, answer.rows.len(), answer.resent), (1, 0, false));
    let taken = link.run(&insert, &[Arg::Int(1), Arg::Null]).await.unwrap();
    assert_eq!((taken.affected, taken.rows.len()), (0, 0));
    assert_eq!(link.run(&insert, &[Arg::Int(2), Arg::Null]).await.unwrap().affected, 1);
    let same = writes(&text(engine, "UPDATE things SET n = 7 WHERE k >= ?"));
    for (from, matched) in [(1, 2), (2, 1), (9, 0)] {
        assert_eq!(link.run(&same, &[Arg::Int(from)]).await.unwrap().affected, matched);
    }
}

async fn values_come_back(link: &Link, engine: Engine) {
    let select = reads(&text(engine, "SELECT k, v, n, 1 FROM things WHERE k >= ? ORDER BY k"));
    let answer = link.run(&select, &[Arg::Int(0)]).await.unwrap();
    let first = [Value::Int(1), Value::Bytes(vec![0, 255, 39]), Value::Int(7), Value::Int(1)];
    let second = [Value::Int(2), Value::Null, Value::Int(7), Value::Int(1)];
    assert_eq!(answer.rows, [first, second]);
    assert_eq!(answer.affected, 2);
    let none = link.run(&select, &[Arg::Int(9)]).await.unwrap();
    assert_eq!((none.affected, none.rows.len()), (0, 0));
    let large = vec![7; 1 << 20];
    let put = writes(&text(engine, "UPDATE things SET v = ? WHERE k = 2"));
    link.run(&put, &[Arg::Bytes(&large)]).await.unwrap();
    let answer = link.run(&reads("SELECT v FROM things WHERE k = 2"), &[]).await.unwrap();
    assert!(*only(&answer) == Value::Bytes(large));
}

async fn one_row_comes_back_or_none(link: &Link, engine: Engine) {
    let select = reads(&text(engine, "SELECT n FROM things WHERE k = ?"));
    let select = Statement { one_row: true, ..select };
    for (key, rows) in [(1, 1), (9, 0), (2, 1)] {
        let answer = link.run(&select, &[Arg::Int(key)]).await.unwrap();
        assert_eq!(answer.rows, vec![[Value::Int(7)]; rows]);
        assert_eq!(answer.affected, u64::try_from(rows).unwrap());
    }
}

async fn rows_of_a_write_are_counted(link: &Link, engine: Engine) {
    let statement = match engine {
        Engine::MySql => return,
        Engine::MariaDb => {
            "INSERT INTO things (k, v, n) VALUES (?, NULL, 1) ON DUPLICATE KEY UPDATE n = n + 1 \
             RETURNING n, k"
        }
        _ => "UPDATE things SET n = n + 1 WHERE k = ? RETURNING n, k",
    };
    let statement = writes(&text(engine, statement));
    let answer = link.run(&statement, &[Arg::Int(1)]).await.unwrap();
    assert_eq!((answer.affected, answer.rows), (1, vec![vec![Value::Int(8), Value::Int(1)]]));
    if engine != Engine::MariaDb {
        let answer = link.run(&statement, &[Arg::Int(9)]).await.unwrap();
        assert_eq!((answer.affected, answer.rows.len()), (0, 0));
    }
}

async fn what_is_missing_is_told(link: &Link) {
    for missing in ["SELECT 1 FROM nowhere", "SELECT absent FROM things"] {
        let fault = link.run(&reads(missing), &[]).await.unwrap_err();
        let error = fault.into_error("sql", session_core::Operation::Load, false);
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains("migrate()"), "{error}");
    }
    let fault = link.run(&reads("SELEC 1"), &[]).await.unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::Backend);
}

/// A value that does not fit is refused, and engines like to say which it was.
async fn a_value_is_in_no_error(link: &Link, engine: Engine) {
    let statement = match engine {
        Engine::Postgres => "UPDATE things SET n = CAST(convert_from(?, 'UTF8') AS int)",
        Engine::Sqlite => "UPDATE things SET n = json_extract(CAST(? AS TEXT), '$.a')",
        _ => "UPDATE things SET n = ?",
    };
    let statement = writes(&text(engine, statement));
    let fault = link.run(&statement, &[Arg::Bytes(b"planted-secret")]).await.unwrap_err();
    let error = fault.into_error("sql", session_core::Operation::Save, true);
    assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
    assert!(!error.maybe_applied());
}

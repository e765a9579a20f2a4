//! What holds on each engine.

use super::*;

async fn statements_and_their_answers(url: &str) {
    let link = Link::open(&config(url)).await.unwrap();
    let pg = link.server().engine == Engine::Postgres;
    let blob = if pg { "bytea" } else { "BLOB" };
    let p = |n: usize| if pg { format!("${n}") } else { "?".to_owned() };
    link.define(&format!("-- A table.\nDROP TABLE IF EXISTS link_t;\n-- x\nCREATE TABLE link_t (k BIGINT NOT NULL PRIMARY KEY, v {blob} NULL, n INT NOT NULL);\n-- end\n")).await.unwrap();
    let insert = writes(&format!("INSERT INTO link_t (k, v, n) VALUES ({}, {}, 7)", p(1), p(2)));
    let a = link.run(&insert, &[Arg::Int(1), Arg::Bytes(&[0, 255, 39])]).await.unwrap();
    assert_eq!((a.affected, a.rows.len(), a.resent), (1, 0, false));
    let a = link.run(&insert, &[Arg::Int(1), Arg::Null]).await.unwrap();
    assert_eq!((a.affected, a.rows.len()), (0, 0));
    let a = link.run(&insert, &[Arg::Int(2), Arg::Null]).await.unwrap();
    assert_eq!(a.affected, 1);
    let select =
        reads(&format!("SELECT k, v, n, n = 7, 1 FROM link_t WHERE k >= {} ORDER BY k", p(1)));
    let a = link.run(&select, &[Arg::Int(0)]).await.unwrap();
    assert_eq!(a.rows[0][..3], [Value::Int(1), Value::Bytes(vec![0, 255, 39]), Value::Int(7)]);
    assert_eq!(a.rows[1][..3], [Value::Int(2), Value::Null, Value::Int(7)]);
    assert_eq!(a.affected, 2);
    let a = link.run(&select, &[Arg::Int(9)]).await.unwrap();
    assert_eq!((a.affected, a.rows.len()), (0, 0));
    let update = writes(&format!("UPDATE link_t SET n = 7 WHERE k = {}", p(1)));
    assert_eq!(link.run(&update, &[Arg::Int(1)]).await.unwrap().affected, 1);
    assert_eq!(link.run(&update, &[Arg::Int(9)]).await.unwrap().affected, 0);
    if link.server().engine != Engine::MySql {
        let text = if link.server().engine == Engine::MariaDb {
            "INSERT INTO link_t (k, v, n) VALUES (?, NULL, 1) ON DUPLICATE KEY UPDATE n = n + 1 RETURNING n, k".to_owned()
        } else {
            format!("UPDATE link_t SET n = n + 1 WHERE k = {} RETURNING n, k", p(1))
        };
        let a = link.run(&writes(&text), &[Arg::Int(1)]).await.unwrap();
        assert_eq!((a.affected, &a.rows[0]), (1, &vec![Value::Int(8), Value::Int(1)]));
        if link.server().engine != Engine::MariaDb {
            let a = link.run(&writes(&text), &[Arg::Int(10)]).await.unwrap();
            assert_eq!((a.affected, a.rows.len()), (0, 0));
        }
    }
    let missing = link.run(&reads("SELECT 1 FROM link_nothing"), &[]).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Config);
    let column = link.run(&reads("SELECT absent FROM link_t"), &[]).await.unwrap_err();
    assert_eq!(column.kind(), ErrorKind::Config);
    let bad = link.run(&reads("SELEC"), &[]).await.unwrap_err();
    assert_eq!(bad.kind(), ErrorKind::Backend);
}

#[tokio::test]
async fn an_answer_has_rows_and_counts_in_memory() {
    statements_and_their_answers("sqlite::memory:").await;
}
#[tokio::test]
async fn an_answer_has_rows_and_counts_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    statements_and_their_answers(&format!("sqlite:{}/x.db", dir.path().display())).await;
}

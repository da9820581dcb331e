//! Every query goes by an index: no list is sorted, and none reads rows that it does not return.

use rusqlite::{Connection, params_from_iter, types::Value};

use crate::{
    id::{BatchId, JobId},
    job::{JobFilter, StateName},
    sqlite::{attempt, idempotency, job, open, pruned, upload},
};

fn plan(db: &Connection, sql: &str, values: Vec<Value>) -> String {
    let mut sql = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = sql.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
    steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
}

#[test]
fn no_query_scans_a_table_or_sorts() {
    let data = tempfile::tempdir().unwrap();
    let (db, _) = open::writable(&data.path().join("fileyard.db")).unwrap();
    let nulls = |n| vec![Value::Null; n];
    let mut plans = vec![
        ("due", plan(&db, job::DUE, nulls(4))),
        ("waiting", plan(&db, job::WAITING, nulls(2))),
        ("running", plan(&db, job::RUNNING, nulls(0))),
        ("receiving", plan(&db, upload::RECEIVING, nulls(1))),
        ("abandoned", plan(&db, upload::ABANDONED, nulls(1))),
        ("key", plan(&db, idempotency::ONE, nulls(3))),
        ("forget keys", plan(&db, idempotency::FORGET, nulls(1))),
        ("unremoved", plan(&db, attempt::UNREMOVED, nulls(0))),
        ("ended", plan(&db, pruned::ENDED, nulls(2))),
        ("shared", plan(&db, pruned::SHARED, nulls(2))),
        ("pruned", plan(&db, pruned::PRUNED, nulls(2))),
    ];
    for mask in 0..16_u8 {
        let on = |bit: u8| mask & (1 << bit) != 0;
        let filter = JobFilter {
            state: on(0).then_some(StateName::Queued),
            processor: on(1).then(|| "mp4".parse().unwrap()),
            batch: on(2).then(BatchId::new),
        };
        let (sql, values) = job::page(&filter, on(3).then(JobId::new), 50);
        plans.push(("page", plan(&db, &sql, values)));
    }
    for (name, plan) in &plans {
        assert!(!plan.contains("TEMP B-TREE"), "{name} sorts: {plan}");
        // A scan along an index that holds only such rows, or in the order of the page, is none.
        let bare = plan.split("; ").any(|step| step.starts_with("SCAN") && !step.contains("INDEX"));
        assert!(!bare || plan.contains("json_each"), "{name} reads a whole table: {plan}");
    }
    let text: Vec<_> = plans.iter().map(|(name, plan)| format!("{name}: {plan}")).collect();
    insta::assert_snapshot!(text.join("\n"));
}

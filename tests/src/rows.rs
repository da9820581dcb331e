//! The rows as they are in the database: read only, beside a running server or after it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// All rows of one moment, as the documents they are.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Whose they are.
    pub install: String,
    /// Every upload.
    pub uploads: Vec<Value>,
    /// Every job.
    pub jobs: Vec<Value>,
    /// Every attempt.
    pub attempts: Vec<Value>,
    /// What is left of pruned jobs.
    pub pruned: Vec<Value>,
}

impl Rows {
    /// Reads the database in the data directory.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn read(data: &Path) -> Self {
        let path = data.join("fileyard.db");
        let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        db.busy_timeout(crate::LONG).unwrap();
        // One read transaction: all rows of one moment.
        let moment = db.unchecked_transaction().unwrap();
        let install = moment
            .query_row("SELECT value FROM meta WHERE name = 'install'", [], |row| row.get(0))
            .unwrap();
        let all = |table: &str| -> Vec<Value> {
            let mut rows = moment.prepare(&format!("SELECT doc FROM {table}")).unwrap();
            let docs = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
            docs.map(|doc| serde_json::from_str(&doc.unwrap()).unwrap()).collect()
        };
        Self {
            install,
            uploads: all("uploads"),
            jobs: all("jobs"),
            attempts: all("attempts"),
            pruned: all("pruned"),
        }
    }

    /// The path of every blob that a row names, below the store's prefix, its marker with them.
    #[must_use]
    pub fn blobs(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut paths = vec!["fileyard-install.json".to_owned()];
        for upload in self.uploads.iter().filter(|upload| upload["state"]["is"] == "complete") {
            paths.push(format!("{}/uploads/{}", text(&upload["tenant"]), text(&upload["id"])));
        }
        for job in self.jobs.iter().filter(|job| job["state"]["is"] == "succeeded") {
            let outputs = job["state"]["outputs"].as_array().map(Vec::as_slice).unwrap_or_default();
            let (tenant, id) = (text(&job["tenant"]), text(&job["id"]));
            for (index, output) in outputs.iter().enumerate() {
                // By `urls` each says where it is.
                let place = &output["place"];
                let (fence, index) = match place.is_null() {
                    true => (&job["fence"], index.to_string()),
                    false => (&place["fence"], place["index"].to_string()),
                };
                let by = format!("{}-{fence}", job["attempt"]);
                paths.push(format!("{tenant}/jobs/{id}/{by}/out/{index}"));
            }
        }
        for attempt in self.attempts.iter().filter(|attempt| !attempt["log"].is_null()) {
            let (tenant, id) = (text(&attempt["tenant"]), text(&attempt["job"]));
            let by = format!("{}-{}", attempt["no"], attempt["log"]["fence"]);
            paths.push(format!("{tenant}/jobs/{id}/{by}/log"));
        }
        paths.sort();
        paths
    }

    /// The job that a blob's path is of, and its attempts: what a person looks at who misses it.
    #[must_use]
    pub fn about(&self, blob: &str) -> Value {
        let named = |id: &Value| id.as_str().is_some_and(|id| blob.contains(id));
        let job = self.jobs.iter().find(|job| named(&job["id"]));
        let attempts: Vec<_> = self.attempts.iter().filter(|it| named(&it["job"])).collect();
        json!({ "job": job, "attempts": attempts })
    }
}

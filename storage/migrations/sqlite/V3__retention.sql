-- Jobs that ended long enough ago go; what is left of one is a row until its blobs are removed too.

CREATE TABLE pruned (
    doc    TEXT NOT NULL,
    job    TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.job') VIRTUAL,
    tenant TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.tenant') VIRTUAL
) STRICT;

CREATE UNIQUE INDEX pruned_job ON pruned (job, tenant);

-- Of expressions, not of columns: to add a column to a table that is there, even a generated one, SQLite reads
-- all of it, and a history may have millions of rows.
CREATE INDEX job_ended ON jobs (doc ->> '$.finished_at', id) WHERE doc ->> '$.finished_at' IS NOT NULL;
-- An upload's row names the job that was made of it; all others that have it are these.
CREATE INDEX job_rerun ON jobs (doc ->> '$.upload', id) WHERE doc ->> '$.retry_of' IS NOT NULL;

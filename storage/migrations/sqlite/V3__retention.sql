-- Jobs that ended long enough ago go; what is left of one is a row until its blobs are removed too.

CREATE TABLE pruned (
    doc    TEXT NOT NULL,
    job    TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.job') VIRTUAL,
    tenant TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.tenant') VIRTUAL
) STRICT;

CREATE UNIQUE INDEX pruned_job ON pruned (job, tenant);

ALTER TABLE jobs ADD COLUMN upload TEXT GENERATED ALWAYS AS (doc ->> '$.upload') VIRTUAL;
ALTER TABLE jobs ADD COLUMN retry_of TEXT GENERATED ALWAYS AS (doc ->> '$.retry_of') VIRTUAL;
ALTER TABLE jobs ADD COLUMN finished_at INTEGER GENERATED ALWAYS AS (doc ->> '$.finished_at') VIRTUAL;

CREATE INDEX job_ended ON jobs (finished_at, id) WHERE finished_at IS NOT NULL;
-- An upload's row names the job that was made of it; all others that have it are these.
CREATE INDEX job_rerun ON jobs (upload, id) WHERE retry_of IS NOT NULL;

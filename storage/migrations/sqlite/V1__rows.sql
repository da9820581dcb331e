-- A row is its noun as one JSON document. Every column that is queried is generated from that
-- document, so that a column can not say anything else than the row it stands for.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE uploads (
    doc    TEXT NOT NULL,
    id     TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.id') VIRTUAL,
    tenant TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.tenant') VIRTUAL,
    job    TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.job') VIRTUAL,
    state  TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.state.is') VIRTUAL,
    at     INTEGER GENERATED ALWAYS AS (doc ->> '$.state.at') VIRTUAL
) STRICT;

CREATE UNIQUE INDEX upload_id ON uploads (id, tenant);
CREATE UNIQUE INDEX upload_job ON uploads (job, tenant);
CREATE INDEX upload_receiving ON uploads (id) WHERE state = 'receiving';
CREATE INDEX upload_abandoned ON uploads (at, id) WHERE state = 'abandoned';

CREATE TABLE jobs (
    doc        TEXT NOT NULL,
    id         TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.id') VIRTUAL,
    tenant     TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.tenant') VIRTUAL,
    processor  TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.processor') VIRTUAL,
    batch      TEXT GENERATED ALWAYS AS (doc ->> '$.batch') VIRTUAL,
    state      TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.state.is') VIRTUAL,
    since      INTEGER GENERATED ALWAYS AS (doc ->> '$.state.since') VIRTUAL,
    not_before INTEGER GENERATED ALWAYS AS (doc ->> '$.state.not_before') VIRTUAL
) STRICT;

-- Ids are UUIDv7: in text, too, they sort by the time they were made, so a list is an index's order.
CREATE UNIQUE INDEX job_id ON jobs (id, tenant);
CREATE INDEX job_state ON jobs (state, id);
CREATE INDEX job_processor ON jobs (processor, id);
CREATE INDEX job_processor_state ON jobs (processor, state, id);
CREATE INDEX job_batch ON jobs (batch, id) WHERE batch IS NOT NULL;
-- What a dispatcher looks at before it reads a document is all in here.
CREATE INDEX job_queue ON jobs (since, id, not_before, processor) WHERE state = 'queued';

CREATE TABLE attempts (
    doc    TEXT NOT NULL,
    job    TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.job') VIRTUAL,
    no     INTEGER NOT NULL GENERATED ALWAYS AS (doc ->> '$.no') VIRTUAL,
    tenant TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.tenant') VIRTUAL,
    state  TEXT NOT NULL GENERATED ALWAYS AS (doc ->> '$.state.is') VIRTUAL
) STRICT;

CREATE UNIQUE INDEX attempt_id ON attempts (job, no, tenant);
CREATE INDEX attempt_unremoved ON attempts (job, no) WHERE state <> 'removed';
